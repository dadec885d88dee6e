"""LiteLLM's proxy with two workers, governed by a node that the workers start, as callers see it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import NEVER, Program, binary, eventually, new_key, spent
from provider import Provider

from tollgate import Admin, Gate
from tollgate.errors import ApiError
from tollgate.v1.hierarchy_pb2 import VirtualKey

LITELLM = Path(sys.executable).with_name("litellm")
if not LITELLM.exists():
    why = "LiteLLM is not installed; `pip install './clients/python[litellm]'`"
    assert not os.environ.get("CI"), why
    pytest.skip(f"SKIPPED: {why}", allow_module_level=True)

HERE = Path(__file__).parent
MASTER = "sk-master-of-the-tests-0123456789"
COST = 500_000
"""Nano-dollars of a request of `ask`: 100 LLM tokens at 2.50 dollars per million, and 25 of the answer at 10."""


class Proxy:
    """LiteLLM's proxy with a control plane, and the provider behind it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.provider = Provider()
        self.server = Program(directory, "server", "serve", "--database", f"sqlite://{directory}/tollgate.db")
        self.admin = Admin(f"http://{self.server.place}")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TOLLGATE_")},
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_MASTER_KEY": MASTER,
            "NO_DOCS": "True",
            "PROVIDER": self.provider.url,
            "PROVIDER_V1": f"{self.provider.url}/v1",
            "RECORD": str(directory / "record"),
            "TOLLGATE_BINARY": str(binary()),
            "TOLLGATE_NODE_DATA_DIR": str(directory / "node"),
            "TOLLGATE_NODE_ID": "litellm",
            "TOLLGATE_SERVER": f"http://{self.server.place}",
        }
        command = [str(LITELLM), "--config", str(HERE / "litellm_config.yaml")]
        command += ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "2", "--telemetry", "False"]
        # A worker that is busy importing on a busy machine answers late, and would be replaced for that.
        command += ["--timeout_worker_healthcheck", "120"]
        self.log = directory / "litellm.log"
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                command, env=environment, cwd=directory, stdout=log, stderr=log, start_new_session=True
            )
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{port}", timeout=60, limits=httpx.Limits(max_connections=64)
        )
        deadline = time.monotonic() + 240
        while len(self._workers()) < 2:
            assert self._process.poll() is None, self.log.read_text()[-5000:]
            assert time.monotonic() < deadline, self.log.read_text()[-5000:]
            time.sleep(0.2)
        self.gate = Gate(f"unix://{directory}/node/node.sock")

        def follows() -> bool:
            try:
                return self.gate.status().revision >= 0
            except ApiError:
                return False

        self.ask("sk-nobody-has-this-value")
        eventually(follows, "a worker starts the node")

    def _workers(self) -> set[int]:
        """The workers that are up, by process."""
        try:
            headers = {"authorization": f"Bearer {MASTER}", "connection": "close"}
            self.http.post("/v1/chat/completions", json=body("gpt-4o"), headers=headers)
        except httpx.HTTPError:
            return set()
        return {line["worker"] for line in self.records()}

    def records(self, key: VirtualKey | None = None) -> list[dict[str, Any]]:
        """What LiteLLM's own log says of the requests of a key."""
        record = self.directory / "record"
        lines = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
        digest = key and self.digest(key)
        return [line for line in lines if digest is None or line["key"] == digest]

    def digest(self, key: VirtualKey) -> str:
        return hashlib.sha256(key.value.encode()).hexdigest()

    def key(self, name: str, *providers: str, **fields: object) -> VirtualKey:
        return new_key(self.admin, self.gate, name, *providers, **fields)

    def ask(self, key: str, model: str = "gpt-4o", path: str = "/v1/chat/completions", **fields: Any) -> httpx.Response:
        """One request, on a connection of its own, so that any worker may take it."""
        headers = {"authorization": f"Bearer {key}", "connection": "close"}
        return self.http.post(path, json=body(model, **fields), headers=headers)

    def counted_as_logged(self, key: VirtualKey, requests: int) -> None:
        """Waits until Tollgate has counted what LiteLLM has logged, to the nano-dollar."""
        eventually(lambda: len(self.records(key)) == requests, f"LiteLLM logs {requests} requests")
        cost = sum(round(line["cost"] * 1e9) for line in self.records(key))
        eventually(lambda: spent(self.admin, key.id) == cost, f"the server counts {cost}")

    def close(self) -> None:
        self.http.close()
        self.gate.close()
        self.admin.close()
        os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self.server.kill()
        self.provider.close()


def body(model: str, **fields: Any) -> dict[str, Any]:
    """A request of 400 bytes of text, which are 100 LLM tokens, with orders for the provider."""
    orders = {name: fields.pop(name) for name in ("delay", "cached", "status", "events", "pause") if name in fields}
    if "input" in fields:
        return {"model": model, **fields}
    message = {"role": "user", "content": json.dumps(orders).ljust(396)}
    return {"model": model, "messages": [message], "max_tokens": 25, **fields}


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    # Not in a directory of pytest's: the path of a socket may have a hundred characters.
    running = Proxy(tmp_path_factory.mktemp("litellm"))
    yield running
    running.close()


def test_each_kind_of_call_is_counted_as_litellm_logs_it(proxy: Proxy) -> None:
    key = proxy.key("kinds", "openai", "anthropic", budgets=NEVER)
    calls: list[dict[str, Any]] = [
        {},
        {"stream": True},
        {"cached": 50},
        {"cached": 50, "stream": True},
        {"model": "claude", "cached": 50},
        {"model": "claude", "cached": 50, "stream": True},
        {"model": "claude", "cached": 50, "path": "/v1/messages"},
        {"model": "claude", "path": "/v1/messages", "stream": True},
        {"model": "embed", "path": "/v1/embeddings", "input": ["text"]},
        {"path": "/v1/responses", "input": "text"},
        {"path": "/v1/responses", "input": "text", "stream": True},
        {"model": "any"},
        {"model": "by-id-anthropic"},
        {"model": "openai/gpt-4o-mini"},
    ]
    for call in calls:
        answer = proxy.ask(key.value, **call)
        assert answer.status_code == 200, (call, answer.text)
    proxy.counted_as_logged(key, len(calls))
    assert proxy.gate.status().in_flight == 0


def test_refusals_say_why(proxy: Proxy) -> None:
    def refused(answer: httpx.Response, status: int, kind: str) -> None:
        assert answer.status_code == status, answer.text
        assert answer.json()["error"]["type"] == kind, answer.text

    refused(proxy.ask("sk-nobody-has-this-value"), 401, "unknown_key")
    assert proxy.http.post("/v1/chat/completions", json=body("gpt-4o")).status_code == 401
    key = proxy.key("openai alone", budgets=NEVER)
    before = proxy.provider.requests["claude-sonnet-4-5"]
    refused(proxy.ask(key.value, "claude"), 403, "provider_blocked")
    refused(proxy.ask(key.value, "by-id-anthropic"), 403, "provider_blocked")
    refused(proxy.ask(key.value, "gpt-4o,claude"), 403, "not_governed")
    for _ in range(10):
        assert proxy.ask(key.value, "any").status_code == 200
    assert proxy.provider.requests["claude-sonnet-4-5"] == before

    broke = proxy.key("broke", budgets=[{"max_limit": 0.0006, "reset_duration": "1h"}])
    assert proxy.ask(broke.value).status_code == 200
    answer = proxy.ask(broke.value)
    refused(answer, 402, "budget_exceeded")
    assert 0 < int(answer.headers["retry-after"]) <= 3600
    slow = proxy.key("slow", rate_limits=[{"request_max_limit": 1, "request_reset_duration": "1h"}])
    first = proxy.ask(slow.value)
    assert (first.status_code, first.headers["x-ratelimit-limit-requests"]) == (200, "1")
    limited = proxy.ask(slow.value)
    refused(limited, 429, "request_limited")
    assert 0 < int(limited.headers["retry-after"]) <= 3600


def test_a_virtual_key_is_good_for_models_alone(proxy: Proxy) -> None:
    key = proxy.key("no administrator")
    for path in ("/health", "/model/info", "/spend/logs"):
        answer = proxy.http.get(path, headers={"authorization": f"Bearer {key.value}"})
        assert answer.status_code == 403, (path, answer.text)
    models = proxy.http.get("/v1/models", headers={"authorization": f"Bearer {key.value}"})
    assert models.status_code == 200
    assert proxy.http.get("/model/info", headers={"authorization": f"Bearer {MASTER}"}).status_code == 200


def test_a_key_stops_at_once_in_all_workers(proxy: Proxy) -> None:
    key = proxy.key("stops")
    workers: set[int] = set()
    while len(workers) < 2:
        assert proxy.ask(key.value).status_code == 200
        workers = {line["worker"] for line in proxy.records(key)}
    stopped = proxy.admin.virtual_keys.update(key.id, is_active=False)
    eventually(lambda: proxy.gate.status().revision >= stopped.revision, "the node hears of it")
    answers = [proxy.ask(key.value) for _ in range(20)]
    assert {answer.status_code for answer in answers} == {403}
    assert answers[0].json()["error"]["type"] == "key_inactive"


def test_a_fallback_is_asked_for_too(proxy: Proxy) -> None:
    both = proxy.key("falls back", "openai", "anthropic", budgets=NEVER)
    answer = proxy.ask(both.value, status=500, fallbacks=["claude"])
    assert answer.status_code == 500, "the provider fails whatever is asked of it"
    assert proxy.provider.requests["claude-sonnet-4-5"] > 0
    before = proxy.provider.requests["claude-sonnet-4-5"]
    one = proxy.key("may not fall back", budgets=NEVER)
    for fallback in ("claude", "by-id-anthropic", {"model": "by-id-anthropic"}):
        assert proxy.ask(one.value, status=500, fallbacks=[fallback]).status_code >= 400
    assert proxy.provider.requests["claude-sonnet-4-5"] == before
    eventually(lambda: proxy.gate.status().in_flight == 0, "failed requests end")
    assert (spent(proxy.admin, both.id), spent(proxy.admin, one.id)) == (0, 0)


def test_a_rule_sends_a_request_elsewhere(proxy: Proxy) -> None:
    key = proxy.key("routed", "openai", "anthropic", budgets=NEVER)
    rule = proxy.admin.routing_rules.create(
        name="gold",
        scope="ROUTING_SCOPE_VIRTUAL_KEY",
        scope_id=key.id,
        cel_expression='"x-tier" in headers && headers["x-tier"] == "gold"',
        targets=[{"provider": "anthropic", "model": "claude-sonnet-4-5", "weight": 1}],
    )
    eventually(lambda: proxy.gate.status().revision >= rule.revision, "the node hears of the rule")
    before = proxy.provider.requests["claude-sonnet-4-5"]
    headers = {"authorization": f"Bearer {key.value}", "x-tier": "gold"}
    assert proxy.http.post("/v1/chat/completions", json=body("gpt-4o"), headers=headers).status_code == 200
    assert proxy.ask(key.value).status_code == 200
    assert proxy.provider.requests["claude-sonnet-4-5"] == before + 1
    proxy.counted_as_logged(key, 2)


def test_a_caller_that_goes_away_is_charged_for_what_was_sent(proxy: Proxy) -> None:
    key = proxy.key("leaves", budgets=NEVER)
    proxy.provider.gone.clear()
    headers = {"authorization": f"Bearer {key.value}"}
    call = body("gpt-4o", stream=True, events=100_000, pause=0.01)
    with proxy.http.stream("POST", "/v1/chat/completions", json=call, headers=headers) as answer:
        lines = answer.iter_lines()
        for _ in range(9):
            next(lines)
    assert proxy.provider.gone.wait(60), "LiteLLM leaves the provider"
    proxy.counted_as_logged(key, 1)
    assert spent(proxy.admin, key.id) > 0
    eventually(lambda: proxy.gate.status().in_flight == 0, "the admission ends")


def flood(proxy: Proxy, key: VirtualKey, requests: int, at_once: int, **fields: Any) -> list[int]:
    def ask(_: int) -> int:
        return proxy.ask(key.value, **fields).status_code

    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(ask, range(requests)))


def test_a_budget_is_used_up_and_not_exceeded(proxy: Proxy) -> None:
    key = proxy.key("a cent", budgets=[{"max_limit": 0.01, "reset_duration": "never"}])
    statuses = flood(proxy, key, 120, 64, delay=0.3)
    assert set(statuses) == {200, 402}
    eventually(lambda: proxy.gate.status().in_flight == 0, "all end")
    proxy.counted_as_logged(key, statuses.count(200))
    assert 19 * COST <= spent(proxy.admin, key.id) <= 20 * COST


def test_requests_are_limited_exactly(proxy: Proxy) -> None:
    key = proxy.key("twenty", rate_limits=[{"request_max_limit": 20, "request_reset_duration": "1h"}])
    statuses = flood(proxy, key, 60, 32, delay=0.3)
    assert statuses.count(200) == 20
    assert set(statuses) == {200, 429}


def test_without_the_control_plane_requests_go_on_and_are_counted_later(proxy: Proxy) -> None:
    # Of a hard budget the node spends what it holds, and that may be nothing.
    key = proxy.key("goes on", budgets=[{**NEVER[0], "enforcement": "ENFORCEMENT_SOFT"}])
    proxy.server.kill()
    try:
        statuses = [proxy.ask(key.value).status_code for _ in range(5)]
    finally:
        proxy.server.start()
    assert statuses == [200] * 5
    proxy.counted_as_logged(key, 5)


def test_a_killed_node_comes_back_and_has_lost_nothing(proxy: Proxy) -> None:
    key = proxy.key("node is killed", budgets=NEVER)
    for _ in range(5):
        assert proxy.ask(key.value).status_code == 200
    program = f"{binary()} node --data-dir {proxy.directory}/node "
    found = subprocess.run(["pgrep", "--full", "--", f"^{program}"], capture_output=True, text=True, check=True)
    os.kill(int(found.stdout), signal.SIGKILL)
    refused = 0
    while proxy.ask(key.value).status_code != 200:
        refused += 1
        assert refused < 20, "the node does not come back"
    proxy.counted_as_logged(key, 6)


def test_a_killed_worker_loses_no_answer(proxy: Proxy) -> None:
    key = proxy.key("survives", budgets=NEVER)
    worker = proxy.records()[-1]["worker"]

    def ask(number: int) -> int:
        if number == 30:
            os.kill(worker, signal.SIGKILL)
        try:
            return proxy.ask(key.value, delay=0.05).status_code
        except httpx.HTTPError:
            return 0

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(ask, range(120)))
    answered = statuses.count(200)
    assert answered >= 60
    # What was in flight in the worker is charged at its estimate, when the node restarts or its time is up.
    eventually(lambda: spent(proxy.admin, key.id) >= answered * COST, "all answers are counted")
    assert spent(proxy.admin, key.id) <= (answered + 8) * COST

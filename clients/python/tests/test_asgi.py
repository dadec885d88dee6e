"""The middleware in front of an application on FastAPI, as a caller sees it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from conftest import NEVER, Program, eventually, new_key, spent
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from tollgate import Admin, Gate
from tollgate.asgi import Tollgate

LIMITED = [{"request_max_limit": 3, "request_reset_duration": "1h"}]


def application(node: str) -> FastAPI:
    app = FastAPI()
    app.add_middleware(Tollgate, node=node)

    @app.post("/v1/chat/completions")
    async def _(request: Request) -> Any:
        call = await request.json()
        granted = request.state.tollgate
        usage = {"prompt_tokens": 100, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 50}}
        if call.get("fail"):
            raise ZeroDivisionError
        if call.get("says"):
            granted.used(input_tokens=1, output_tokens=1, cost_nano_usd=9)
        if call.get("silent"):
            return {}
        if not call.get("stream"):
            return {"model": f"{granted.provider}/{granted.model}", "usage": usage}

        async def events() -> AsyncIterator[bytes]:
            yield b'data: {"choices": [{"delta": {"content": "Hel'
            yield b'lo"}}]}\n\n'
            if call.get("breaks"):
                raise ConnectionError
            yield b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\ndata: [DONE]\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    @app.get("/health")
    async def _() -> str:
        return "well"

    return app


@pytest.fixture
async def client(node: Program) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(application(node.place), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def ask(client: httpx.AsyncClient, key: str, **fields: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"}
    return await client.post("/v1/chat/completions", json={"model": "gpt-4o", **fields}, headers=headers)


@pytest.mark.parametrize("stream", [False, True])
async def test_what_an_answer_says_is_settled(
    admin: Admin, gate: Gate, client: httpx.AsyncClient, stream: bool
) -> None:
    key = new_key(admin, gate, f"asgi {stream}", budgets=NEVER, rate_limits=LIMITED)
    answer = await ask(client, key.value, stream=stream)
    assert answer.status_code == 200
    assert answer.headers["x-ratelimit-limit-requests"] == "3"
    assert stream or answer.json()["model"] == "openai/gpt-4o"
    # 50 LLM tokens at 2.50 dollars per million, 50 from the cache at 1.25, and 20 at 10.
    eventually(lambda: spent(admin, key.id) == 387_500, "the server counts")
    assert gate.status().in_flight == 0


async def test_the_application_may_say_it_instead(admin: Admin, gate: Gate, client: httpx.AsyncClient) -> None:
    key = new_key(admin, gate, "asgi says", budgets=NEVER)
    await ask(client, key.value, says=True)
    eventually(lambda: spent(admin, key.id) == 9, "the server counts")


async def test_a_stream_that_breaks_is_charged_for_what_was_sent(
    admin: Admin, gate: Gate, client: httpx.AsyncClient
) -> None:
    key = new_key(admin, gate, "asgi breaks", budgets=NEVER)
    answer = await ask(client, key.value, stream=True, breaks=True, messages=[{"role": "user", "content": "x" * 36}])
    assert "usage" not in answer.text
    # 40 bytes of text in the prompt are 10 LLM tokens, and the event is one.
    eventually(lambda: spent(admin, key.id) == 35_000, "the server counts")
    assert gate.status().in_flight == 0


async def test_an_answer_that_says_nothing_is_charged_at_its_estimate(
    admin: Admin, gate: Gate, client: httpx.AsyncClient
) -> None:
    key = new_key(admin, gate, "asgi silent", budgets=NEVER)
    await ask(client, key.value, silent=True, max_tokens=2, messages=[{"role": "user", "content": "x" * 36}])
    eventually(lambda: spent(admin, key.id) == 45_000, "the server counts")


async def test_an_application_that_fails_is_charged_nothing(
    admin: Admin, gate: Gate, client: httpx.AsyncClient
) -> None:
    key = new_key(admin, gate, "asgi fails", budgets=NEVER)
    abandoned = gate.status().requests.abandoned
    assert (await ask(client, key.value, fail=True)).status_code == 500
    assert (gate.status().requests.abandoned, gate.status().in_flight) == (abandoned + 1, 0)


async def test_refusals_are_answered_as_openai_does(admin: Admin, gate: Gate, client: httpx.AsyncClient) -> None:
    limits = [{"request_max_limit": 1, "request_reset_duration": "1h"}]
    key = new_key(admin, gate, "asgi refused", rate_limits=limits)
    assert (await ask(client, key.value)).status_code == 200
    limited = await ask(client, key.value)
    assert (limited.status_code, limited.json()["error"]["type"]) == (429, "request_limited")
    assert 0 < int(limited.headers["retry-after"]) <= 3600
    assert (await ask(client, "sk-nobody-has-this-value")).status_code == 401
    assert (await client.post("/v1/chat/completions", json={"model": "gpt-4o"})).status_code == 401
    by_header = await client.post("/v1/chat/completions", json={"model": "gpt-4o"}, headers={"x-api-key": key.value})
    assert by_header.status_code == 429
    for body in (b"", b"[]", b'"text"', b'{"messages": []}'):
        bad = await client.post("/v1/chat/completions", content=body, headers={"x-api-key": key.value})
        assert bad.status_code == 400, body
    assert (await client.get("/health")).json() == "well"


async def test_without_its_node_it_refuses() -> None:
    transport = httpx.ASGITransport(application("127.0.0.1:1"))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await ask(client, "sk-any")
    assert answer.status_code == 503
    assert "the node cannot be reached" in answer.json()["error"]["message"]

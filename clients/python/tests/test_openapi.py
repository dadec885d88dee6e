"""The document at /openapi.json, as a usual generator of clients reads it: every operation is made and understood."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, cast, get_type_hints

import httpx
import pytest
from conftest import Program

CONFIG = {"provider": "openai", "weight": 1, "allowed_models": ["*"], "key_ids": ["*"]}
BUDGETS = [{"max_limit": 5, "reset_duration": "1d"}]
OVERRIDE = {
    "name": "half",
    "scope_kind": "global",
    "match_type": "exact",
    "pattern": "gpt-4o",
    "request_types": ["chat_completion"],
    "patch": {"input_cost_per_token": 0.000001},
}
RULE = {
    "name": "gold",
    "cel_expression": 'model.startsWith("gpt-")',
    "scope": "global",
    "targets": [{"provider": "openai", "weight": 1}],
}
# A part of the names of operations, the parameter of paths, the property of answers, a new resource, a change of it.
# No other test gives its resources these names.
RESOURCES: list[tuple[str, str, str, dict[str, Any], dict[str, Any]]] = [
    ("customer", "customer_id", "customer", {"name": "generated"}, {"budgets": BUDGETS}),
    ("team", "team_id", "team", {"name": "generated", "labels": {"a": "b"}}, {"profile": {"floor": 3}}),
    (
        "virtual_key",
        "vk_id",
        "virtual_key",
        {"name": "generated", "provider_configs": [CONFIG]},
        {"is_active": False},
    ),
    ("model_config", "mc_id", "model_config", {"model_name": "gpt-4o", "budgets": BUDGETS}, {"calendar_aligned": True}),
    ("routing_rule", "rule_id", "rule", RULE, {"enabled": False}),
    ("pricing_override", "id", "pricing_override", OVERRIDE, {"pattern": "gpt-4o-mini"}),
]


class Generated:
    """The generated package, and what was done with it."""

    def __init__(self, place: str, package: ModuleType) -> None:
        self._package, self._base = package, f"http://{place}"
        self.done: set[str] = set()

    def call(self, operation: str, body: dict[str, Any] | None = None, key: str = "", **given: Any) -> dict[str, Any]:
        """Makes an operation by its generated function; the answer, as the generated classes understand it."""
        module = importlib.import_module(f"{self._package.__name__}.api.governance.{operation}")
        if body is not None:
            model = get_type_hints(module.sync_detailed)["body"]
            given["body"] = model.from_dict(body)
            assert given["body"].to_dict() == body, "the request says what is meant"
        headers = {"x-bf-vk": key} if key else {}
        with self._package.Client(base_url=self._base, headers=headers) as client:
            answer = module.sync_detailed(client=client, **given)
        assert answer.status_code in (200, 201), answer.content
        assert type(answer.parsed).__name__ not in ("Error", "NoneType")
        understood, sent = cast("dict[str, Any]", answer.parsed.to_dict()), json.loads(answer.content)
        assert understood.keys() == sent.keys(), operation
        self.done.add(operation)
        return understood


@pytest.fixture
def generated(server: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generated:
    document = tmp_path / "openapi.json"
    document.write_bytes(httpx.get(f"http://{server.place}/openapi.json").raise_for_status().content)
    tool = Path(sys.executable).with_name("openapi-python-client")
    command = [tool, "generate", "--path", document, "--meta", "none", "--fail-on-warning"]
    run = subprocess.run([*command, "--output-path", tmp_path / "governance"], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return Generated(server.place, importlib.import_module("governance"))


def snake(name: str) -> str:
    return re.sub(r"(?=[A-Z])", "_", name).lower()


def test_a_generated_client_makes_every_operation(generated: Generated, server: Program) -> None:
    for of, parameter, one, new, change in RESOURCES:
        made = generated.call(f"create_{of}", new)[one]
        named = {parameter: made["id"]}
        assert generated.call(f"update_{of}", change, **named)[one]["id"] == made["id"]
        assert made["id"] in [it["id"] for it in generated.call(f"list_{of}s")[f"{one}s"]]
        if of != "pricing_override":
            got = generated.call(f"get_{of}", **named)[one]
            assert all(got[name] == value for name, value in change.items() if name != "budgets"), got
        if of == "virtual_key":
            generated.call("update_virtual_key", {"is_active": True}, **named)
            quota = generated.call("get_virtual_key_quota", key=made["value"])
            assert quota["virtual_key_name"] == "generated", quota
        assert generated.call(f"delete_{of}", **named)["message"]
    generated.call("update_provider_governance", {"budgets": BUDGETS}, provider_name="cohere")
    listed = generated.call("list_provider_governance")["providers"]
    assert "cohere" in [it["provider"] for it in listed]
    assert generated.call("list_budgets", provider="cohere")["count"] == 1
    assert generated.call("list_rate_limits", provider="cohere")["count"] == 0
    generated.call("delete_provider_governance", provider_name="cohere")

    document = httpx.get(f"http://{server.place}/openapi.json").text
    assert generated.done == {snake(name) for name in re.findall(r'"operationId":"(\w+)"', document)}

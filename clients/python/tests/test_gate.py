"""`Gate` and `AsyncGate` against a real node."""

from __future__ import annotations

import hashlib

import pytest
from conftest import NEVER, Program, eventually, new_key, spent

from tollgate import Admin, AsyncGate, Gate, Refused, errors


def test_a_block_settles_what_was_used(admin: Admin, gate: Gate) -> None:
    key = new_key(admin, gate, "settles", budgets=NEVER)
    with gate.admit(virtual_key_value=key.value, model="gpt-4o", estimate={"prompt_bytes": 400}) as granted:
        assert (granted.provider, granted.model) == ("openai", "gpt-4o")
        assert granted.admission.estimate.input_tokens == 100
        granted.used(input_tokens=10, output_tokens=1)
        granted.used(input_tokens=10, output_tokens=2, cost_nano_usd=7)
    assert granted.ended
    eventually(lambda: spent(admin, key.id) == 7, "the server counts")


def test_dimensions_are_taken_and_refused_where_they_cannot_be_recorded(admin: Admin, gate: Gate) -> None:
    key = new_key(admin, gate, "dimensions", budgets=NEVER)
    with gate.admit(virtual_key_id=key.id, model="gpt-4o", end_user="ada", session="s-1", tags=["b", "a"]) as granted:
        with pytest.raises(errors.InvalidArgument, match="tool: has 129 bytes"):
            granted.settle(cost_nano_usd=3, tool="x" * 129)
        granted.used(cost_nano_usd=3, tool="search")
    eventually(lambda: spent(admin, key.id) == 3, "the server counts")
    with pytest.raises(errors.InvalidArgument, match="end_user: has 129 bytes"):
        gate.admit(virtual_key_id=key.id, model="gpt-4o", end_user="x" * 129)


def test_a_block_that_fails_settles_what_is_known_and_abandons_what_is_not(admin: Admin, gate: Gate) -> None:
    key = new_key(admin, gate, "fails", budgets=NEVER)
    before = gate.status()

    def fail(*, used: bool) -> None:
        with gate.admit(virtual_key_value=key.value, model="gpt-4o") as granted:
            if used:
                granted.used(input_tokens=3, cost_nano_usd=11)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail(used=True)
    with pytest.raises(ZeroDivisionError):
        fail(used=False)
    after = gate.status()
    assert (after.requests.settled, after.requests.abandoned) == (
        before.requests.settled + 1,
        before.requests.abandoned + 1,
    )
    assert after.in_flight == 0
    eventually(lambda: spent(admin, key.id) == 11, "the server counts")


def test_an_admission_ends_once(admin: Admin, gate: Gate) -> None:
    key = new_key(admin, gate, "ends once", budgets=NEVER)
    granted = gate.admit(virtual_key_sha256=hashlib.sha256(key.value.encode()).digest(), model="gpt-4o")
    assert granted.settle(input_tokens=1, cost_nano_usd=5).cost_nano_usd == 5
    assert gate.settle(granted.admission.admission_id, input_tokens=1, cost_nano_usd=900).cost_nano_usd == 5
    assert not gate.abandon(granted.admission.admission_id)
    with pytest.raises(errors.NotFound):
        granted.touch()
    with pytest.raises(errors.InvalidArgument):
        gate.settle("no id")


def test_a_refusal_says_what_to_answer(admin: Admin, gate: Gate) -> None:
    limits = [{"request_max_limit": 1, "request_reset_duration": "1h"}]
    key = new_key(admin, gate, "refused", rate_limits=limits)
    with gate.admit(virtual_key_id=key.id, model="gpt-4o") as granted:
        assert granted.headers["x-ratelimit-limit-requests"] == "1"
        granted.used(input_tokens=1)
    with pytest.raises(Refused) as refused:
        gate.admit(virtual_key_id=key.id, model="gpt-4o")
    assert (refused.value.decision, refused.value.http_status) == ("REQUEST_LIMITED", 429)
    assert refused.value.retry_after is not None
    assert 0 < refused.value.retry_after <= 3600
    assert refused.value.limit is not None
    assert refused.value.limit.virtual_key_id == key.id

    with pytest.raises(Refused) as unknown:
        gate.admit(virtual_key_value="sk-nobody-has-this-value", model="gpt-4o")
    assert (unknown.value.http_status, unknown.value.retry_after, unknown.value.limit) == (401, None, None)
    with pytest.raises(errors.InvalidArgument, match="model"):
        gate.admit(virtual_key_id=key.id)


def test_a_check_holds_nothing(admin: Admin, gate: Gate) -> None:
    key = new_key(admin, gate, "checked", rate_limits=[{"request_max_limit": 1, "request_reset_duration": "1h"}])
    for _ in range(3):
        assert gate.check(virtual_key_id=key.id, model="gpt-4o").admission_id == ""
    with pytest.raises(Refused):
        gate.check(virtual_key_id=key.id, provider="anthropic", model="claude-sonnet-4-5")


def test_a_further_attempt_moves_the_admission(admin: Admin, gate: Gate) -> None:
    key = new_key(admin, gate, "moves", "openai", "anthropic")
    fallbacks = ["anthropic/claude-sonnet-4-5"]
    with gate.admit(virtual_key_id=key.id, provider="openai", model="gpt-4o", fallbacks=fallbacks) as granted:
        granted.touch(provider="anthropic", model="claude-sonnet-4-5")
        assert (granted.provider, granted.model) == ("anthropic", "claude-sonnet-4-5")
        assert list(granted.fallbacks) == ["anthropic/claude-sonnet-4-5"]
        with pytest.raises(Refused) as refused:
            granted.touch(provider="groq", model="llama")
        assert refused.value.decision == "PROVIDER_BLOCKED"
        assert granted.provider == "anthropic"


async def test_asyncio_has_the_same(admin: Admin, gate: Gate, node: Program) -> None:
    key = new_key(admin, gate, "async", "openai", "anthropic", budgets=NEVER)
    async with AsyncGate(node.place) as client:
        async with await client.admit(virtual_key_value=key.value, provider="openai", model="gpt-4o") as granted:
            await granted.touch(provider="anthropic", model="claude-sonnet-4-5")
            granted.used(input_tokens=1, cost_nano_usd=3)
        async with await client.admit(virtual_key_value=key.value, model="gpt-4o") as left:
            pass
        assert granted.provider == "anthropic"
        assert left.ended
        assert not await client.abandon(left.admission.admission_id)
        assert (await client.check(virtual_key_value=key.value, model="gpt-4o")).admission_id == ""
        with pytest.raises(Refused):
            await client.admit(virtual_key_value="sk-nobody-has-this-value", model="gpt-4o")
        assert (await client.status()).node_id == "test"
    eventually(lambda: spent(admin, key.id) == 3, "the server counts")


def test_an_end_waits_for_a_node_that_restarts(admin: Admin, gate: Gate, node: Program) -> None:
    key = new_key(admin, gate, "restarts", budgets=NEVER)
    granted = gate.admit(virtual_key_value=key.value, model="gpt-4o", estimate={"cost_nano_usd": 100})
    node.kill()
    with pytest.raises(errors.Unavailable):
        gate.admit(virtual_key_value=key.value, model="gpt-4o")
    node.start()
    # The start charged it at its estimate, and what exceeds that is charged now.
    assert granted.settle(input_tokens=1, cost_nano_usd=250).cost_nano_usd == 250
    eventually(lambda: spent(admin, key.id) == 250, "the server counts")

"""`Admin` against a real control plane."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from conftest import Program

from tollgate import Admin, NotOne, errors
from tollgate.v1 import token_pb2
from tollgate.v1.config_service_pb2 import GetServerInfoRequest, WatchConfigRequest
from tollgate.v1.config_service_pb2_grpc import ConfigServiceStub


def test_a_resource_is_created_read_changed_and_deleted(admin: Admin) -> None:
    made = admin.teams.create(name="Research", budgets=[{"max_limit": 500, "reset_duration": "1M"}])
    assert made.budgets[0].max_limit_nano_usd == 500 * 10**9
    assert admin.teams.get(made.id) == made == admin.teams.get(name="Research")

    changed = admin.teams.update(made.id, name="Research and more")
    assert (changed.name, len(changed.budgets)) == ("Research and more", 1)
    assert changed.revision > made.revision

    gone = admin.teams.delete(changed)
    assert gone.revision == changed.revision + 1
    with pytest.raises(errors.NotFound) as missing:
        admin.teams.get(made.id)
    assert missing.value.reason == "ERROR_REASON_NOT_FOUND"


def test_an_edit_sends_what_changed_and_nothing_else(admin: Admin) -> None:
    key = admin.virtual_keys.create(name="edited", description="old", labels={"a": "1"})
    with admin.virtual_keys.edit(key) as draft:
        draft.description = ""
        draft.is_active = False
        draft.budgets.add(max_limit=1, reset_duration="1d")
    change = next(admin.changes(id=key.id))
    after = change.after.virtual_key
    assert (after.description, after.is_active, len(after.budgets), after.labels["a"]) == ("", False, 1, "1")

    with admin.virtual_keys.edit(key):
        pass
    assert next(admin.changes(id=key.id)).revision == change.revision, "an edit that changes nothing makes no call"


def test_a_change_of_somebody_else_is_not_overwritten(admin: Admin) -> None:
    read = admin.teams.create(name="contested")
    admin.teams.update(read.id, calendar_aligned=True)
    with pytest.raises(errors.Aborted) as stale:
        admin.teams.update(read, name="mine")
    assert stale.value.metadata["expected"] == str(read.revision)
    with pytest.raises(errors.Aborted):
        admin.teams.delete(read)

    edit = admin.teams.edit(read.id)
    draft = edit.__enter__()
    draft.name = "mine"
    admin.teams.update(read.id, calendar_aligned=False)
    with pytest.raises(errors.Aborted):
        edit.__exit__(None, None, None)


def test_fields_of_requests_go_along_with_those_of_resources(admin: Admin) -> None:
    before = admin.customers.create(name="tried", validate_only=True)
    assert before.name == "tried"
    assert list(admin.customers.list(search="tried")) == []

    request_id = "0196c1d5-7b43-4c1c-a0f1-63b1d1a4b1a1"
    once, again = (admin.customers.create(name="once", request_id=request_id) for _ in range(2))
    assert once == again


def test_a_name_finds_one_resource_or_says_so(admin: Admin) -> None:
    for name in ("unique", "unique too"):
        admin.customers.create(name=name)
    assert admin.customers.get(name="unique").name == "unique"
    with pytest.raises(NotOne, match="0 of customers have name='absent', instead of one"):
        admin.customers.get(name="absent")
    assert admin.providers.get(name="openai").built_in
    prices = [price for price in admin.model_prices.list(provider="openai") if price.model == "gpt-4o"]
    assert admin.model_prices.get(provider="openai", model="gpt-4o") == prices[0]
    with pytest.raises(NotOne, match="instead of one"):
        admin.model_prices.get(provider="openai")


def test_a_webhook_shows_its_secret_once(admin: Admin) -> None:
    made = admin.webhooks.create(name="ops", url="https://alerts.invalid", events=["WEBHOOK_EVENT_KEY_EXPIRING"])
    assert made.secret.startswith("whsec_")
    assert "…" not in made.secret
    assert "…" in admin.webhooks.get(made.id).secret
    admin.webhooks.delete(made)


def test_pages_are_fetched_on_the_way(admin: Admin) -> None:
    team = admin.teams.create(name="many")
    made = [admin.virtual_keys.create(name=f"many/{number}", team_id=team.id).id for number in range(7)]
    assert [key.id for key in admin.virtual_keys.list(team_id=team.id, page_size=3)] == made


def test_an_error_has_all_violations(admin: Admin) -> None:
    with pytest.raises(errors.InvalidArgument) as invalid:
        admin.teams.create(name="", budgets=[{"max_limit": -1, "reset_duration": "monthly"}])
    fields = {violation.field for violation in invalid.value.violations}
    assert fields == {"team.name", "team.budgets[0].max_limit", "team.budgets[0].reset_duration"}
    assert invalid.value.reason == "ERROR_REASON_INVALID_FIELD"
    assert all(field in str(invalid.value) for field in fields)

    with pytest.raises(errors.FailedPrecondition) as missing:
        admin.teams.create(name="orphan", customer_id="0196c1d5-7b43-7c1c-a0f1-63b1d1a4b1a1")
    assert "customer_id" in str(missing.value)

    admin.teams.create(name="taken")
    with pytest.raises(errors.AlreadyExists):
        admin.teams.create(name="taken")


def test_a_key_is_rotated_and_found(admin: Admin) -> None:
    key = admin.virtual_keys.create(name="rotated")
    new = admin.virtual_keys.rotate(key, grace_period=timedelta(hours=1))
    assert new.value.startswith("sk-tg-")
    assert new.value != key.value
    assert admin.virtual_keys.lookup(key.value).id == admin.virtual_keys.lookup(new.value).id == key.id
    with pytest.raises(errors.NotFound):
        admin.virtual_keys.lookup(b"\0" * 32)


def test_what_is_no_plain_resource_is_reached_too(admin: Admin) -> None:
    owner = admin.teams.create(name="owner", rate_limits=[{"request_max_limit": 5, "request_reset_duration": "1m"}])
    assert [limit.request_max_limit for limit in admin.rate_limits.list(team_id=owner.id)] == [5]
    governed = admin.provider_governance.update("groq", budgets=[{"max_limit": 9, "reset_duration": "1d"}])
    assert [it.id for it in admin.budgets.list(provider="groq")] == [governed.budgets[0].id]
    assert admin.explain(model="gpt-4o", provider="openai").routing.model == "gpt-4o"
    assert list(admin.tokens.list()) == []


def test_the_access_token_goes_with_every_call_on_the_channel(tmp_path: Path) -> None:
    server = Program(tmp_path, "closed", "serve", "--database", f"sqlite://{tmp_path}/tollgate.db")
    url = f"http://{server.place}"
    with Admin(url) as nobody:
        value = nobody.tokens.create(name="ops", role=token_pb2.ROLE_ADMIN).value
        with pytest.raises(errors.Unauthenticated):
            nobody.server_info()
        with Admin(url, access_token=value) as admin:
            assert admin.server_info().authentication_required
            stub = ConfigServiceStub(admin.channel)
            assert stub.GetServerInfo(GetServerInfoRequest()).server_info.authentication_required
            events = stub.WatchConfig(WatchConfigRequest(node_id="test"), timeout=60)
            assert next(events).HasField("begin")
            events.cancel()
        with pytest.raises(grpc.RpcError, match="UNAUTHENTICATED"):
            ConfigServiceStub(nobody.channel).GetServerInfo(GetServerInfoRequest())
    server.kill()


def test_a_server_that_cannot_be_reached_is_unavailable() -> None:
    with Admin("http://127.0.0.1:1") as nobody, pytest.raises(errors.Unavailable):
        nobody.teams.get("x")


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="'ftp://x' is no address of a server"):
        Admin("ftp://x")

"""What a node decides about the value that a caller presents, from its copy and what limits have used, alone.

What it has not reported yet, or was not told back yet, is not added to what limits have used: a limit blocks when the
server has counted it full.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from tollgate.v1 import hierarchy_pb2, model_config_pb2

from fold import Copy
from usage import Limit, Usage, limits_of


@dataclass
class Verdict:
    """A decision, and whom it is about. It names the key by its name and never by its value, so it may be logged."""

    accepted: bool
    reason: str
    key: str = ""
    key_id: str = ""
    team: str = ""
    customer: str = ""
    providers: list[dict[str, list[str] | str]] = field(default_factory=list)
    tools: dict[str, list[str]] = field(default_factory=dict)


def judge(copy: Copy | None, usage: Usage, value: str, model: str = "", now: datetime | None = None) -> Verdict:
    """Judges a value and, if given, a `provider/model` that the caller asks for. Without one no limit is looked at.

    A key denies by default, so a node without a copy must refuse too: it does not know what it would allow.
    """
    if copy is None:
        return Verdict(False, "not ready: no configuration has arrived yet")
    now = now or datetime.now(timezone.utc)
    value_sha256 = hashlib.sha256(value.encode()).digest()
    key = copy.virtual_key(value_sha256)
    if key is None:
        return Verdict(False, "unknown")
    if key.value_sha256 != value_sha256 and _is_past(key.previous_value_expires_at, now):
        return Verdict(False, "unknown: rotated, and its grace period is over", key.name)

    team = copy.team(key.team_id)
    customer = copy.customer(team.customer_id if team else key.customer_id)
    verdict = Verdict(
        True,
        "",
        key=key.name,
        key_id=key.id,
        team=team.name if team else "",
        customer=customer.name if customer else "",
        providers=[
            {
                "provider": config.provider,
                "models": list(config.allowed_models),
                "except": list(config.blacklisted_models),
                "provider_keys": list(config.key_ids),
            }
            for config in key.provider_configs
        ],
        tools={config.mcp_client_name: list(config.tools_to_execute) for config in key.mcp_configs},
    )
    if key.HasField("is_active") and not key.is_active:
        verdict.accepted, verdict.reason = False, "inactive"
    elif key.HasField("expires_at") and _is_past(key.expires_at, now):
        verdict.accepted, verdict.reason = False, "expired"
    elif model:
        provider, _, name = model.partition("/")
        verdict.reason = _refusal(key, provider, name) or _exhausted(copy, usage, key, provider, name, now)
        verdict.accepted = not verdict.reason
    return verdict


def _refusal(key: hierarchy_pb2.VirtualKey, provider: str, model: str) -> str:
    """Why the key may not use the model; empty if it may. It is enough that one entry for the provider permits it."""
    entries = [config for config in key.provider_configs if config.provider == provider]
    if not entries:
        return "provider not allowed"
    permitting = [entry for entry in entries if _permits(entry, model)]
    if not permitting:
        return "model not allowed"
    return "" if any(entry.key_ids for entry in permitting) else "no provider key allowed"


def _exhausted(
    copy: Copy, usage: Usage, key: hierarchy_pb2.VirtualKey, provider: str, model: str, now: datetime
) -> str:
    """The first limit that is used up, in words; empty if there is none."""
    for limit in _limits(copy, key, provider, model):
        if usage.used(limit, now) >= limit.max:
            return f"{limit} is used up"
    return ""


def _limits(copy: Copy, key: hierarchy_pb2.VirtualKey, provider: str, model: str) -> Iterator[Limit]:
    """The limits that apply to a request, in the order in which they are checked."""
    team = copy.team(key.team_id)
    customer = copy.customer(team.customer_id if team else key.customer_id)
    governance = copy.provider_governance(provider)
    if governance:
        yield from _own(f"provider {provider}", governance, governance.calendar_aligned)
    yield from _of_models(copy, model_config_pb2.MODEL_CONFIG_SCOPE_GLOBAL, "", provider, model)
    for entry in key.provider_configs:
        if entry.provider == provider and _permits(entry, model) and entry.key_ids:
            yield from _own(f"provider config {entry.id}", entry, key.calendar_aligned)
            break
    yield from _own(f"virtual key {key.name}", key, key.calendar_aligned)
    yield from _of_models(copy, model_config_pb2.MODEL_CONFIG_SCOPE_VIRTUAL_KEY, key.id, provider, model)
    if team:
        yield from _own(f"team {team.name}", team, team.calendar_aligned)
        yield from _of_models(copy, model_config_pb2.MODEL_CONFIG_SCOPE_TEAM, team.id, provider, model)
    if customer:
        yield from _own(f"customer {customer.name}", customer, customer.calendar_aligned)
        yield from _of_models(copy, model_config_pb2.MODEL_CONFIG_SCOPE_CUSTOMER, customer.id, provider, model)


def _of_models(copy: Copy, scope: int, scope_id: str, provider: str, model: str) -> Iterator[Limit]:
    """The limits of the model configs of a scope: of model and provider, model, provider, all."""
    bare = model.removeprefix(f"{provider}/")
    for names in dict.fromkeys((model, bare)), ("*",):
        for at in provider, "":
            for name in names:
                config = copy.model_config((scope, scope_id, name, at))
                if config:
                    yield from _own(f"model config {name}", config, config.calendar_aligned)


def _own(name: str, owner: Any, aligned: bool) -> Iterator[Limit]:
    return limits_of(name, owner.budgets, owner.rate_limits, aligned)


def _permits(entry: hierarchy_pb2.VirtualKeyProviderConfig, model: str) -> bool:
    """Whether one entry permits a model: it is listed, or all are, and it is not refused. The provider's name may stand
    before it."""
    bare = model.removeprefix(f"{entry.provider}/")
    names = {"*", bare, f"{entry.provider}/{bare}"}
    return not names.isdisjoint(entry.allowed_models) and names.isdisjoint(entry.blacklisted_models)


def _is_past(time: Timestamp, now: datetime) -> bool:
    """From the instant itself on: a key works until just before it."""
    return time.ToDatetime(tzinfo=timezone.utc) <= now

"""What a node decides about the value that a caller presents, from its copy alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timezone

from google.protobuf.timestamp_pb2 import Timestamp
from tollgate.v1 import hierarchy_pb2

from fold import Copy


@dataclass
class Verdict:
    """A decision, and whom it is about. It names the key by its name and never by its value, so it may be logged."""

    accepted: bool
    reason: str
    key: str = ""
    team: str = ""
    customer: str = ""
    providers: list[dict[str, list[str] | str]] = field(default_factory=list)
    tools: dict[str, list[str]] = field(default_factory=dict)


def judge(copy: Copy | None, value: str, model: str = "", now: datetime | None = None) -> Verdict:
    """Judges a value and, if given, a `provider/model` that the caller asks for.

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
        verdict.reason = _refusal(key, provider, name)
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


def _permits(entry: hierarchy_pb2.VirtualKeyProviderConfig, model: str) -> bool:
    """Whether one entry permits a model: it is listed, or all are, and it is not refused. The provider's name may stand
    before it."""
    bare = model.removeprefix(f"{entry.provider}/")
    names = {"*", bare, f"{entry.provider}/{bare}"}
    return not names.isdisjoint(entry.allowed_models) and names.isdisjoint(entry.blacklisted_models)


def _is_past(time: Timestamp, now: datetime) -> bool:
    """From the instant itself on: a key works until just before it."""
    return time.ToDatetime(tzinfo=timezone.utc) <= now

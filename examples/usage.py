"""What limits have used, as far as the server has told, and what that means for a request.

The fold of `UsageUpdate` is that of the comments in `usage.proto`. Which limits apply to a request, and in which order,
is told by `decision_service.proto`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from tollgate.v1 import limits_pb2, usage_pb2

DAYS = {"d": 1, "w": 7, "M": 30, "Q": 90, "Y": 365}
MONTHS = {"M": 1, "Q": 3, "Y": 12}
CLOCK = {"h": "hours", "m": "minutes", "s": "seconds", "ms": "milliseconds"}


@dataclass
class Usage:
    """The newest value of each limit and kind. What is not here is zero."""

    limits: dict[tuple[str, int], usage_pb2.LimitUsage] = field(default_factory=dict)
    whole: bool = False
    """Whether the first update of the stream is here."""
    _staged: list[usage_pb2.LimitUsage] = field(default_factory=list)

    def begin(self) -> None:
        """A stream begins. The old values serve until its first update is whole."""
        self.whole = False
        self._staged.clear()

    def apply(self, update: usage_pb2.UsageUpdate) -> None:
        """Folds one message in."""
        self._staged += update.limits
        if update.more:
            return
        if not self.whole:
            # The first update names all that is not zero.
            self.limits.clear()
            self.whole = True
        for limit in self._staged:
            held = self.limits.get((limit.limit_id, limit.kind))
            if held is None or _order(held) < _order(limit):
                self.limits[limit.limit_id, limit.kind] = limit
        self._staged.clear()

    def used(self, limit: Limit, now: datetime) -> int:
        """What the current window of a limit has counted. One that has passed counts as zero, whether or not the server
        can be reached to tell so."""
        held = self.limits.get((limit.id, limit.kind))
        if held is None or _window_end(held.window_start.ToDatetime(tzinfo=timezone.utc), limit) <= now:
            return 0
        return held.used


@dataclass(frozen=True)
class Limit:
    """One dimension of a budget or rate limit."""

    id: str
    kind: int
    max: int
    duration: str
    aligned: bool
    owner: str

    def __str__(self) -> str:
        kind = usage_pb2.LimitKind.Name(self.kind).removeprefix("LIMIT_KIND_").lower()
        return f"{kind} of {self.owner}"


def limits_of(
    owner: str,
    budgets: Iterable[limits_pb2.Budget],
    rate_limits: Iterable[limits_pb2.RateLimit],
    aligned: bool,
) -> Iterator[Limit]:
    """The limits of one owner in the order in which they are checked: LLM tokens, requests, budgets; of each, the shortest
    window first."""
    tokens, requests, spending = [], [], []
    for rate in rate_limits:
        if rate.HasField("token_max_limit"):
            kind, length = usage_pb2.LIMIT_KIND_TOKENS, rate.token_reset_duration
            tokens.append(Limit(rate.id, kind, rate.token_max_limit, length, aligned, owner))
        if rate.HasField("request_max_limit"):
            kind, length = usage_pb2.LIMIT_KIND_REQUESTS, rate.request_reset_duration
            requests.append(Limit(rate.id, kind, rate.request_max_limit, length, aligned, owner))
    for budget in budgets:
        kind, length = usage_pb2.LIMIT_KIND_BUDGET, budget.reset_duration
        spending.append(Limit(budget.id, kind, budget.max_limit_nano_usd, length, aligned, owner))
    for limits in tokens, requests, spending:
        yield from sorted(limits, key=lambda limit: (_length(limit.duration), limit.id))


def _order(limit: usage_pb2.LimitUsage) -> tuple[int, int, int]:
    return limit.version, limit.window_start.seconds, limit.window_start.nanos


def _length(duration: str) -> timedelta:
    """How long a window is, a month being 30 days and a year 365."""
    if duration == "never":
        return timedelta.max
    if duration[-1] in DAYS:
        return timedelta(days=int(duration[:-1]) * DAYS[duration[-1]])
    parts = re.findall(r"(\d+)(ms|h|m|s)", duration)
    return sum((timedelta(**{CLOCK[unit]: int(count)}) for count, unit in parts), timedelta())


def _window_end(start: datetime, limit: Limit) -> datetime:
    """Where the window ends that begins at `start`."""
    if limit.duration == "never":
        return datetime.max.replace(tzinfo=start.tzinfo)
    if not limit.aligned or limit.duration[-1] not in MONTHS:
        return start + _length(limit.duration)
    months = int(limit.duration[:-1]) * MONTHS[limit.duration[-1]]
    month = start.year * 12 + start.month - 1 + months
    return start.replace(year=month // 12, month=month % 12 + 1)

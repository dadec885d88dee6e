"""What both streams of the node do when the server is away."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys

import grpc
from google.rpc.error_details_pb2 import RetryInfo
from grpc_status import rpc_status

FIRST_BACKOFF, LAST_BACKOFF = 0.1, 10.0
"""Seconds between attempts to connect: doubled each time, and drawn from below that, so that nodes which lost the
server together do not come back together."""


def log(text: str) -> None:
    """Tells people what goes on."""
    print(text, file=sys.stderr, flush=True)


class Backoff:
    """Pauses between attempts, longer and longer while they fail."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._failures = 0

    def reset(self) -> None:
        """An attempt went well."""
        self._failures = 0

    async def pause(self, asked: float) -> None:
        """Waits before the next attempt, at least as long as the server asked."""
        wait = asked + random.uniform(0, min(LAST_BACKOFF, FIRST_BACKOFF * 2**self._failures))
        self._failures = min(self._failures + 1, 16)
        log(f"{self._what}: connecting again in {wait:.2f} s")
        await asyncio.sleep(wait)


def retry_after(error: grpc.aio.AioRpcError) -> float:
    """How many seconds the server asked to wait."""
    with contextlib.suppress(ValueError):
        status = rpc_status.from_call(error)
        for detail in status.details if status else []:
            info = RetryInfo()
            if detail.Unpack(info):
                return info.retry_delay.ToTimedelta().total_seconds()
    return 0.0

"""Delivers the ledger to the server, so that each of its batches is counted once, whatever dies on the way.

It registers where the ledger has no registration, sends every batch that is not acknowledged, in order, and goes on
from what the server answers. After a cut stream it sends again what was not acknowledged.
"""

from __future__ import annotations

import asyncio

import grpc
from tollgate.v1 import usage_pb2, usage_service_pb2, usage_service_pb2_grpc

from connect import REFUSED, Refused, Server
from ledger import Ledger
from retry import Backoff, log, retry_after

IN_FLIGHT = 32
"""Batches that may be sent before the oldest of them is acknowledged."""

PATIENCE = 10.0
"""Seconds to wait for an answer."""


class Reporter:
    """Sends batches for ever."""

    def __init__(self, channel: grpc.aio.Channel, server: Server, node_id: str, ledger: Ledger) -> None:
        self.ledger = ledger
        self._metadata = server.metadata
        self._stub = usage_service_pb2_grpc.UsageServiceStub(channel)
        self._node_id = node_id
        self._moved = asyncio.Condition()
        self._backoff = Backoff("usage")
        self._in_flight = 1
        self._sent = 0

    async def report(self, entries: list[usage_pb2.UsageEntry]) -> int:
        """Puts usage into the ledger. When this returns it will be counted, once, even if this process dies now."""
        number = self.ledger.append(entries)
        await self._wake()
        return number

    async def delivered(self) -> None:
        """Waits until all is counted."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.ledger.acknowledged == self.ledger.last)

    async def run(self) -> None:
        """Delivers for ever, unless the server refuses the token; the ledger keeps what is not delivered."""
        while True:
            asked = 0.0
            try:
                await self._deliver()
            except grpc.aio.AioRpcError as error:
                if error.code() in REFUSED:
                    raise Refused(error) from error
                asked = retry_after(error)
                log(f"usage: the stream failed: {error.code().name}: {error.details()}")
            except asyncio.TimeoutError:
                log("usage: no answer")
            await self._backoff.pause(asked)

    async def _deliver(self) -> None:
        """Delivers on one stream, until it ends or has to be opened anew."""
        if self.ledger.registration is None:
            await self._register()
        call = self._stub.ReportUsage(metadata=self._metadata)
        # The answer to the first batch tells whether both sides agree on what comes next; until then it is alone.
        self._in_flight = 1
        self._sent = self.ledger.acknowledged
        sender = asyncio.create_task(self._send(call))
        read = asyncio.create_task(call.read())
        try:
            while True:
                await asyncio.wait({read, sender}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
                if read.done():
                    answer = read.result()
                    if answer is grpc.aio.EOF or not await self._take(answer):
                        return
                    read = asyncio.create_task(call.read())
                elif sender.done():
                    sender.result()
                elif self._sent > self.ledger.acknowledged:
                    raise asyncio.TimeoutError
        finally:
            call.cancel()
            for task in (sender, read):
                task.cancel()
            await asyncio.gather(sender, read, return_exceptions=True)

    async def _register(self) -> None:
        request = usage_service_pb2.RegisterNodeRequest(node_id=self._node_id, version="example")
        answer = await self._stub.RegisterNode(request, metadata=self._metadata, timeout=PATIENCE)
        self.ledger.register(answer.incarnation, answer.store_id)
        log(f"usage: registered as incarnation {answer.incarnation}, from batch {self.ledger.acknowledged + 1} on")

    async def _send(self, call: grpc.aio.StreamStreamCall) -> None:
        """Sends what is not acknowledged, and then what comes."""
        ledger = self.ledger
        while True:
            async with self._moved:
                await self._moved.wait_for(
                    lambda: self._sent < min(ledger.last, ledger.acknowledged + self._in_flight)
                )
            self._sent += 1
            try:
                await call.write(ledger.request(self._node_id, self._sent))
            except (asyncio.InvalidStateError, grpc.aio.AioRpcError):
                # The stream has ended; whoever reads it hears why.
                return await asyncio.Event().wait()

    async def _take(self, answer: usage_service_pb2.ReportUsageResponse) -> bool:
        """Takes what became of a batch. Whether to go on in this stream."""
        ledger, status = self.ledger, answer.status
        number = ledger.number(answer.sequence)
        if status == usage_pb2.USAGE_ACK_STATUS_APPLIED:
            for entry in answer.rejected_entries:
                log(f"usage: entry {entry.index} of batch {number} was not counted: {entry.reason}")
            ledger.acknowledge(number, answer.rejected_entries)
        elif answer.store_id != ledger.registration.store_id:
            # Another store may know this incarnation too: of another batch.
            log(f"usage: this is another store: {answer.store_id}")
            await self._register()
            return False
        elif status == usage_pb2.USAGE_ACK_STATUS_DUPLICATE:
            log(f"usage: batch {number} was counted before")
            ledger.acknowledge(number)
        elif status == usage_pb2.USAGE_ACK_STATUS_GAP:
            expected = ledger.number(answer.expected_sequence)
            log(f"usage: batch {number} came too early, {expected} is missing")
            if expected in ledger.batches:
                ledger.acknowledge(expected - 1)
            else:
                await self._register()
            return False
        else:
            # The store does not know the incarnation (a backup from before it was restored), or not this batch by this
            # number. What it has not counted, it counts in a new incarnation.
            log(f"usage: batch {number} was rejected: {answer.reason}")
            await self._register()
            return False
        self._in_flight = IN_FLIGHT
        self._backoff.reset()
        await self._wake()
        return True

    async def _wake(self) -> None:
        async with self._moved:
            self._moved.notify_all()

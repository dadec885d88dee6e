"""A data-plane node in miniature: it follows `WatchConfig`, judges virtual keys from memory, and reports usage.

Values to judge are lines on standard input (or of the file that `--check` names): a key's value and, after a space, the
`provider/model` that is asked for, if one is. Each is answered by a line of JSON. What goes on is logged to standard
error. Three numbers after the model say what the request consumed, if it was let through: input tokens, output tokens,
and nano-dollars. Its answer comes when that is in the ledger (`--ledger`), so what was answered will be counted.

The parts know little of each other: `fold.py` is the copy, `judge.py` the decisions, `ledger.py` what is to be reported;
`Node` keeps the copy fresh for the decisions, `reporter.py` delivers the ledger. Everything runs in one event loop, and
no batch is applied across an `await`, so a decision never sees half of one, without any lock.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import os
import signal
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

import grpc
from tollgate.v1 import config_pb2, config_service_pb2, config_service_pb2_grpc, usage_pb2

from connect import REFUSED, Refused, Server, add_flags
from fold import KINDS, Copy, Fold, ProtocolError
from judge import Verdict, judge
from ledger import Ledger
from reporter import Reporter
from retry import Backoff, log, retry_after

PATIENCE = 15.0
"""Seconds to wait for the first message, before the server has said how often it sends one."""

SAVE_EVERY = 1.0
"""Seconds between writes of the state file. Writing less often costs nothing but a longer way to catch up."""

GROUP = 1000
"""Lines that share a write of the ledger, at most: those that have come while it was being written."""

CHANNEL = [
    # A channel has a backoff of its own, up to two minutes, during which calls fail at once. It would come on top.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


class StateFile:
    """The copy together with the token that belongs to it, and what limits have used: a restarted node can serve before
    the server answers, and is sent only what changed meanwhile. It holds hashes of keys and no secrets."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = 0.0

    def load(self) -> Fold:
        """What was stored, or nothing. A file that cannot be read is no reason not to start: a snapshot mends it."""
        try:
            stored = json.loads(self._path.read_text(encoding="utf-8"))
            copy = Copy()
            for resource in stored["resources"]:
                copy.put(config_pb2.ConfigResource.FromString(base64.b64decode(resource)))
            copy.mark(int(stored["revision"]))
            fold = Fold(copy, stored["resume_token"])
            for limit in stored["usage"]:
                limit = usage_pb2.LimitUsage.FromString(base64.b64decode(limit))
                fold.usage.limits[limit.limit_id, limit.kind] = limit
            return fold
        except FileNotFoundError:
            return Fold()
        except Exception as error:
            log(f"state file ignored: {error!r}")
            return Fold()

    def save(self, fold: Fold, now: bool = False) -> None:
        """Stores copy and token in one step, if they belong together: a token must never be newer than its copy."""
        if fold.copy is None or not fold.settled or not (now or time.monotonic() >= self._written + SAVE_EVERY):
            return
        content = {
            "revision": fold.copy.revision,
            "resume_token": fold.resume_token,
            "resources": [base64.b64encode(item.SerializeToString()).decode() for item in fold.copy.resources.values()],
            "usage": [base64.b64encode(item.SerializeToString()).decode() for item in fold.usage.limits.values()],
        }
        fresh = self._path.with_name(self._path.name + ".new")
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, self._path)
        self._written = time.monotonic()


@dataclass
class Question:
    """A line of input."""

    value: str
    model: str = ""
    consumed: tuple[int, int, int] | None = None
    """Input tokens, output tokens, nano-dollars."""

    @classmethod
    def parse(cls, line: str) -> Question:
        """Reads a line."""
        value, *rest = line.split()
        if len(rest) not in (0, 1, 4):
            raise ValueError("a line has a value, and may have a provider/model, and then three numbers")
        if len(rest) < 4:
            return cls(value, *rest)
        provider, _, _ = rest[0].partition("/")
        if provider == rest[0]:
            raise ValueError("usage is of a provider/model")
        consumed = tuple(int(number) for number in rest[1:])
        if any(abs(number) >= 2**63 for number in consumed):
            raise ValueError("numbers have 64 bits")
        return cls(value, rest[0], consumed)


class Node:
    """Keeps the fold fresh, whatever happens to the connection, and decides from it."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        server: Server,
        name: str,
        state_file: StateFile | None,
        reporter: Reporter | None,
    ) -> None:
        self.fold = state_file.load() if state_file else Fold()
        self._metadata = server.metadata
        self._stub = config_service_pb2_grpc.ConfigServiceStub(channel)
        self._name = name
        self._state_file = state_file
        self.reporter = reporter
        self._target: int | None = None
        self._at_target = False
        self._caught_up = asyncio.Event()
        self._backoff = Backoff("configuration")

    async def catch_up(self, revision: int | None = None) -> None:
        """Waits until the copy is at `revision`, or without one at what the server had when the stream began, and what
        limits have used is there."""
        self._target = revision
        await self._caught_up.wait()

    async def judge(self, lines: list[str]) -> bool:
        """Judges lines of input together. The verdicts are printed once what was consumed is in the ledger."""
        verdicts, entries = [], []
        for line in lines:
            try:
                question = Question.parse(line)
            except ValueError as error:
                verdicts.append(Verdict(False, f"not understood: {error}"))
                continue
            verdict = judge(self.fold.copy, self.fold.usage, question.value, question.model)
            if question.consumed and not self.reporter:
                verdict = Verdict(False, "usage cannot be counted: this node has no --ledger", verdict.key)
            elif question.consumed and verdict.accepted:
                entries.append(usage_entry(verdict.key_id, question))
            verdicts.append(verdict)
        if entries:
            await self.reporter.report(entries)
        revision = self.fold.copy.revision if self.fold.copy else 0
        for verdict in verdicts:
            print(json.dumps({**asdict(verdict), "revision": revision}), flush=True)
        return all(verdict.accepted for verdict in verdicts)

    def save(self, now: bool = False) -> None:
        """Stores the state, if there is a file for it."""
        if self._state_file:
            self._state_file.save(self.fold, now)

    async def run(self) -> None:
        """Follows the stream for ever. The copy goes on being served while there is no connection, but not for a node
        whose token the server refuses: it was revoked or has expired, or is another node's."""
        while True:
            asked = 0.0
            try:
                asked = await self._stream()
                log("the stream ended")
            except grpc.aio.AioRpcError as error:
                if error.code() in REFUSED:
                    raise Refused(error) from error
                asked = retry_after(error)
                log(f"the stream failed: {error.code().name}: {error.details()}")
                if error.code() == grpc.StatusCode.INVALID_ARGUMENT:
                    # Only a damaged state file can be at fault: the rest of the request is constant.
                    self._forget()
            except ProtocolError as error:
                log(f"starting over: {error}")
                self._forget()
            except asyncio.TimeoutError:
                log("the stream fell silent")
            await self._backoff.pause(asked)

    async def _stream(self) -> float:
        """Follows one stream to its end. Returns how many seconds the server asked to stay away."""
        resume_token, min_revision = self.fold.connect()
        request = config_service_pb2.WatchConfigRequest(
            node_id=self._name,
            kinds=KINDS.values(),
            resume_token=resume_token,
            min_revision=min_revision,
            include_usage=True,
        )
        call = self._stub.WatchConfig(request, metadata=self._metadata)
        silence, asked, head = PATIENCE, 0.0, 0
        try:
            while True:
                message = await asyncio.wait_for(call.read(), silence)
                if message is grpc.aio.EOF:
                    return asked
                self.fold.apply(message)
                event = message.WhichOneof("event")
                if event == "begin":
                    begin = message.begin
                    head = begin.head_revision
                    silence = 3 * begin.heartbeat_interval.ToTimedelta().total_seconds() or PATIENCE
                    reason = config_pb2.WatchReason.Name(begin.reason) if begin.reason else ""
                    log(f"begin {config_pb2.WatchMode.Name(begin.mode)} {reason} head {head}")
                elif event == "bookmark":
                    # Not before: a server that accepts streams and fails at once must not be hammered.
                    self._backoff.reset()
                    revision = message.bookmark.revision
                    log(f"at revision {revision}{', digests agree' if message.bookmark.digests else ''}")
                    self.save()
                    self._at_target = revision >= (head if self._target is None else self._target)
                elif event == "go_away":
                    asked = message.go_away.retry_after.ToTimedelta().total_seconds()
                    log(f"go away: {message.go_away.reason}")
                if self._at_target and self.fold.usage.whole:
                    self._caught_up.set()
        finally:
            call.cancel()

    def _forget(self) -> None:
        """Makes the next stream a snapshot, even if this process dies before."""
        self.fold.forget_token()
        self.save(now=True)


def usage_entry(key_id: str, question: Question) -> usage_pb2.UsageEntry:
    """What a request consumed, as it is reported."""
    provider, _, model = question.model.partition("/")
    input_tokens, output_tokens, cost_nano_usd = question.consumed
    entry = usage_pb2.UsageEntry(
        virtual_key_id=key_id,
        provider=provider,
        model=model,
        requests=1,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cost_nano_usd=cost_nano_usd,
    )
    entry.occurred_at.GetCurrentTime()
    return entry


def lines_of(file: TextIO) -> asyncio.Queue[str]:
    """The lines of a file as they come. A thread reads them: files cannot be awaited, and a thread that is no daemon
    would hold up the exit until the next line."""
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            for line in file:
                loop.call_soon_threadsafe(lines.put_nowait, line)

    threading.Thread(target=read, daemon=True).start()
    return lines


async def run_once(node: Node, arguments: argparse.Namespace) -> int:
    """Catches up, judges, delivers what was consumed, exits."""
    try:
        await asyncio.wait_for(node.catch_up(arguments.until_revision), arguments.timeout)
    except asyncio.TimeoutError:
        log(f"not caught up within {arguments.timeout:g} s")
        return 1
    log(f"caught up at revision {node.fold.copy.revision}, copy proved {node.fold.proofs} times")
    accepted = await node.judge([line for line in arguments.check or [] if line.strip()])
    if node.reporter:
        try:
            await asyncio.wait_for(node.reporter.delivered(), arguments.timeout)
        except asyncio.TimeoutError:
            log(f"usage: not delivered within {arguments.timeout:g} s; the ledger has it")
            return 1
    return 0 if accepted else 3


async def judge_lines(node: Node, file: TextIO) -> int:
    """Judges each line as it comes, until the node is told to stop. The end of the input is no reason to."""
    lines = lines_of(file)
    while True:
        group = [await lines.get()]
        while len(group) < GROUP and not lines.empty():
            group.append(lines.get_nowait())
        await node.judge([line for line in group if line.strip()])


async def run(arguments: argparse.Namespace, server: Server) -> int:
    """Runs the node; returns the status to exit with."""
    async with server.connect(grpc.aio, CHANNEL) as channel:
        ledger = Ledger(arguments.ledger) if arguments.ledger else None
        reporter = Reporter(channel, server, arguments.node_id, ledger) if ledger else None
        state_file = StateFile(arguments.state) if arguments.state else None
        node = Node(channel, server, arguments.node_id, state_file, reporter)
        scripted = arguments.once or arguments.until_revision is not None
        job = asyncio.create_task(
            run_once(node, arguments) if scripted else judge_lines(node, arguments.check or sys.stdin)
        )
        services = [asyncio.create_task(service.run()) for service in (node, reporter) if service]
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, job.cancel)
        try:
            await asyncio.wait({job, *services}, return_when=asyncio.FIRST_COMPLETED)
            for service in services:
                if service.done():
                    service.result()  # It never returns, so this raises what went wrong.
            return 0 if job.cancelled() else job.result()
        except Refused as refused:
            log(str(refused))
            return 1
        finally:
            for task in (job, *services):
                task.cancel()
            await asyncio.gather(job, *services, return_exceptions=True)
            node.save(now=True)


def value_file(path: str) -> TextIO:
    """Opens what `--check` names."""
    return sys.stdin if path == "-" else open(path, encoding="utf-8")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Follow the configuration, judge virtual keys from memory, and report usage.")
    server_of = add_flags(parser)
    parser.add_argument("--node-id", default="example-node", help="how the node names itself [%(default)s]")
    parser.add_argument("--state", type=Path, help="file to keep copy and token in, to resume from")
    parser.add_argument("--ledger", type=Path, help="file of what is consumed, to report it from")
    parser.add_argument("--check", type=value_file, metavar="VALUE-FILE", help="values to judge; - for standard input")
    parser.add_argument(
        "--once", action="store_true", help="catch up, judge what --check names, and exit: 3 if any is refused"
    )
    parser.add_argument("--until-revision", type=int, metavar="N", help="the same, once the copy is at revision N")
    parser.add_argument("--timeout", type=float, default=30, help="seconds to catch up in, at most [%(default)g]")
    arguments = parser.parse_args()
    return asyncio.run(run(arguments, server_of(arguments)))


if __name__ == "__main__":
    sys.exit(main())

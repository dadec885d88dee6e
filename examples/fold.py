"""The client's fold of `WatchConfig`, for those who follow the configuration themselves instead of asking `tollgate node`.

`Fold` takes messages and makes a copy of the configuration of them, and what limits have used. It is pure (no sockets, no
clock, no files), so that it can be read next to the comments of `config_service.proto`. `proto/vectors/watch.json` has
streams with what a client must make of them, and this fold is held to them.

Run as a program, it follows a server and tells how far it is: python3 examples/fold.py [HOST:PORT]
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

import grpc
from tollgate.v1 import config_pb2, config_service_pb2, config_service_pb2_grpc, resource_pb2, usage_pb2

Key = tuple[int, str]
"""Kind and id of a resource."""

KINDS: dict[str, int] = {
    name: resource_pb2.ResourceKind.Value(f"RESOURCE_KIND_{name.upper()}")
    for name in config_pb2.ConfigResource.DESCRIPTOR.fields_by_name
    if name not in ("webhook", "token")  # On no stream.
}
"""The kinds that this program knows, by their field of `ConfigResource`. It asks for these and no others: a resource of
a newer kind would arrive as one with nothing in it, which must not be dropped silently."""


class ProtocolError(Exception):
    """The stream is not what the contract promises. The caller drops it and connects again."""


def identity(resource: config_pb2.ConfigResource) -> tuple[Key, int]:
    """Kind and id of a resource, and the revision of its last change."""
    name = resource.WhichOneof("resource")
    if name is None:
        raise ProtocolError("a resource of a kind that this program does not know")
    body = getattr(resource, name)
    return (KINDS[name], body.id), body.revision


@dataclass(frozen=True)
class Copy:
    """All resources as of one revision. It never changes: each batch makes another one, so that whoever holds one sees no
    part of a revision. (A program with many resources has a persistent map for that, and keeps the digests up to date.)"""

    revision: int = 0
    resources: dict[Key, config_pb2.ConfigResource] = field(default_factory=dict)

    def digests(self) -> Counter[int]:
        """The sums that prove the copy, by kind; a kind without resources has none."""
        sums: Counter[int] = Counter()
        for (kind, id), resource in self.resources.items():
            text = f"{kind}/{id}/{identity(resource)[1]}"
            sums[kind] += int.from_bytes(hashlib.sha256(text.encode("ascii")).digest()[:8], "big")
        return Counter({kind: total % 2**64 for kind, total in sums.items()})


class Fold:
    """Owns the copy, the resume token, what limits have used, and what of the stream is not whole yet."""

    def __init__(self) -> None:
        self.copy: Copy | None = None
        """The newest whole state; `None` before the first snapshot."""
        self.usage: dict[tuple[str, int], usage_pb2.LimitUsage] = {}
        """The newest value of each limit and kind. What is not here is zero."""
        self._resume_token = ""
        self._marked: Copy | None = None
        """The copy as it was when the resume token came."""
        self._forget_stream()

    def connect(self) -> tuple[str, int]:
        """Forgets what was not whole of the last stream; returns the resume token to open the next one with, and the
        `min_revision`: that of the copy, so that no replica that lags takes it back. Without a resume token it is 0,
        because then no server could tell that the revision is of a history that is lost, and would wait for it for ever."""
        self._forget_stream()
        return self._resume_token, self.copy.revision if self._resume_token else 0

    def apply(self, message: config_service_pb2.WatchConfigResponse) -> None:
        """Folds one message in. After any error the next stream starts with a snapshot: that costs one transfer, while
        going on from a copy that is in doubt could go wrong for ever. The copy is served until that is whole."""
        try:
            self._apply(message)
        except ProtocolError:
            self._resume_token = ""
            self._forget_stream()
            raise

    def _forget_stream(self) -> None:
        self._begun = self._snapshot = False
        self._staged: Copy | None = None
        """What is not in use yet: a snapshot that comes in, or a copy that resumes behind the one in use."""
        self._fragments: tuple[tuple[int, int], dict[Key, config_pb2.ConfigResource], set[Key]] | None = None
        self._told: list[usage_pb2.LimitUsage] = []
        self._usage_is_new = True

    def _apply(self, message: config_service_pb2.WatchConfigResponse) -> None:
        event = message.WhichOneof("event")
        if event == "begin":
            self._begin(message.begin)
        elif not self._begun:
            raise ProtocolError(f"{event} before begin")
        elif event == "batch":
            self._batch(message.batch)
        elif event == "bookmark":
            self._bookmark(message.bookmark)
        elif event == "usage":
            self._use(message.usage)
        elif event != "go_away":  # which is for the caller
            raise ProtocolError("an event that this program does not know")

    def _begin(self, begin: config_pb2.WatchBegin) -> None:
        self._forget_stream()
        self._begun = True
        if begin.mode == config_pb2.WATCH_MODE_SNAPSHOT:
            self._snapshot, self._staged = True, Copy()
        elif begin.mode != config_pb2.WATCH_MODE_RESUMED:
            raise ProtocolError(f"unknown mode {begin.mode}")
        elif not self._resume_token:
            raise ProtocolError("the stream resumes, but there is nothing to go on from")
        elif self._marked.revision != self.copy.revision:
            # A batch came and its bookmark did not. The store may have lost what the batch brought (a backup was
            # restored), so that only the copy of the resume token is sure to be something to go on from.
            self._staged = self._marked

    def _batch(self, batch: config_pb2.ConfigBatch) -> None:
        base = self._base(batch.snapshot)
        span = batch.from_revision, batch.to_revision
        begun, upserts, removes = self._fragments or (span, {}, set())
        if begun != span:
            raise ProtocolError(f"a fragment of {span} among those of {begun}")
        if not span[0] <= base.revision < span[1]:
            raise ProtocolError(f"batch {span} does not fit a copy at {base.revision}")
        for resource in batch.upserts:
            key, revision = identity(resource)
            if revision > span[1]:
                raise ProtocolError(f"{key} is newer than its batch, which ends at {span[1]}")
            upserts[key] = resource
        for key in batch.removes:
            if key.kind not in KINDS.values():
                raise ProtocolError(f"the removal of a resource of kind {key.kind}, which this program does not know")
            removes.add((key.kind, key.id))
        self._fragments = (span, upserts, removes) if batch.more else None
        if batch.more:
            return
        if upserts.keys() & removes:
            raise ProtocolError("one batch both brings and removes a resource")
        # What is removed may be unknown: what came and went between two batches was never here.
        kept = {key: resource for key, resource in base.resources.items() if key not in removes}
        copy = Copy(span[1], kept | upserts)
        if self._snapshot or copy.revision < self.copy.revision:
            self._staged = copy
        else:
            self.copy, self._staged = copy, None

    def _bookmark(self, bookmark: config_pb2.Bookmark) -> None:
        base = self._base(bookmark.snapshot_end)
        if self._fragments:
            raise ProtocolError("a bookmark between the fragments of a batch")
        # Only a snapshot may take the copy in use back.
        cursor = base.revision if self._snapshot else self.copy.revision
        if bookmark.revision < cursor:
            raise ProtocolError(f"bookmark {bookmark.revision} behind a copy at {cursor}")
        copy = Copy(bookmark.revision, base.resources)
        # `Counter` takes what is missing on one side for 0.
        if bookmark.digests and copy.digests() != Counter({it.kind: it.digest for it in bookmark.digests}):
            raise ProtocolError("the copy is not the server's")
        self.copy = self._marked = copy
        self._staged, self._snapshot = None, False
        self._resume_token = bookmark.resume_token

    def _base(self, snapshot: bool) -> Copy:
        """The copy that a message is about: the one being staged, or the one in use."""
        if snapshot != self._snapshot:
            raise ProtocolError("messages of a snapshot and others are mixed")
        return self._staged or self.copy

    def _use(self, update: usage_pb2.UsageUpdate) -> None:
        self._told += update.limits
        if update.more:
            return
        # The first update of a stream names all that is not zero; the old values serve until it is whole.
        usage = {} if self._usage_is_new else dict(self.usage)
        for limit in self._told:
            held = usage.get((limit.limit_id, limit.kind))
            if held is None or _order(held) <= _order(limit):
                usage[limit.limit_id, limit.kind] = limit
        self.usage, self._told, self._usage_is_new = usage, [], False


def _order(limit: usage_pb2.LimitUsage) -> tuple[int, int, int]:
    return limit.version, limit.window_start.seconds, limit.window_start.nanos


def follow(server: str) -> None:
    """Follows a server for ever. (A program in earnest also connects again after three heartbeats without a message.)"""
    stub = config_service_pb2_grpc.ConfigServiceStub(grpc.insecure_channel(server))
    fold = Fold()
    while True:
        token, revision = fold.connect()
        request = config_service_pb2.WatchConfigRequest(
            node_id="fold", kinds=KINDS.values(), resume_token=token, min_revision=revision, include_usage=True
        )
        pause = 1.0
        try:
            for message in stub.WatchConfig(request):
                fold.apply(message)
                if message.HasField("begin"):
                    print(config_pb2.WatchMode.Name(message.begin.mode), flush=True)
                elif message.HasField("bookmark"):
                    agree = ", digests agree" if message.bookmark.digests else ""
                    print(f"revision {fold.copy.revision}, {len(fold.copy.resources)} resources{agree}", flush=True)
                elif message.HasField("go_away"):
                    pause = max(pause, message.go_away.retry_after.ToTimedelta().total_seconds())
        except grpc.RpcError as error:
            print(f"the stream failed: {error.code().name}: {error.details()}", flush=True)
        except ProtocolError as error:
            print(f"starting over: {error}", flush=True)
        time.sleep(pause)


if __name__ == "__main__":
    follow(*sys.argv[1:] or ["127.0.0.1:50051"])

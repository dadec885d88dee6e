"""The client's fold of `WatchConfig`: messages in, a copy of the configuration out, and what limits have used.

It is pure (no sockets, no clock, no files), so that it can be read next to the comments of `config_service.proto`, and
tested without a server. A caller opens a stream with what `Fold.connect()` returns, feeds each message to `Fold.apply()`,
and after an error or the end of the stream starts again with `Fold.connect()`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from tollgate.v1 import (
    config_pb2,
    config_service_pb2,
    hierarchy_pb2,
    model_config_pb2,
    provider_governance_pb2,
    resource_pb2,
)

from usage import Usage

Key = tuple[int, str]
"""Kind and id of a resource."""

KINDS: dict[str, int] = {
    name: resource_pb2.ResourceKind.Value(f"RESOURCE_KIND_{name.upper()}")
    for name in config_pb2.ConfigResource.DESCRIPTOR.fields_by_name
}
"""The kinds that this program knows, by their field of `ConfigResource`. It asks for these and no others: a resource of
a newer kind would arrive as one with nothing in it, which must not be dropped silently."""


Place = tuple[int, str, str, str]
"""What a model config limits: scope, id of what is in scope, model and provider."""


class ProtocolError(Exception):
    """The stream is not what the contract promises. The caller drops it and connects again."""


def digest(kind: int, id: str, revision: int) -> int:
    """What one resource adds to the digest of its kind."""
    return int.from_bytes(hashlib.sha256(f"{kind}/{id}/{revision}".encode("ascii")).digest()[:8], "big")


def key_of(resource: config_pb2.ConfigResource) -> tuple[Key, int]:
    """Kind and id of a resource, and the revision of its last change."""
    name = resource.WhichOneof("resource")
    if name is None:
        raise ProtocolError("a resource of a kind that this program does not know")
    body = getattr(resource, name)
    return (KINDS[name], body.id), body.revision


def hashes_of(resource: config_pb2.ConfigResource) -> list[bytes]:
    """SHA-256 of each value that a virtual key may be presented with; nothing for other kinds."""
    key = resource.virtual_key
    return [value for value in (key.value_sha256, key.previous_value_sha256) if value]


def place_of(config: model_config_pb2.ModelConfig) -> Place:
    """What a model config limits."""
    return config.scope, config.scope_id, config.model_name, config.provider


@dataclass
class Copy:
    """All resources as of one revision, with what is derived from them: digests, virtual keys by hash, model configs by
    what they limit. It can be taken back to the last bookmark, as far as which its token goes."""

    revision: int = 0
    marked: int = 0
    """The revision of the last bookmark."""
    resources: dict[Key, config_pb2.ConfigResource] = field(default_factory=dict)
    sums: dict[int, int] = field(default_factory=dict)
    ids_by_hash: dict[bytes, str] = field(default_factory=dict)
    model_configs: dict[Place, str] = field(default_factory=dict)
    _before: dict[Key, config_pb2.ConfigResource | None] = field(default_factory=dict)
    """What has changed since the last bookmark, as it was then."""

    def mark(self, revision: int) -> None:
        """A bookmark: the token that it brought goes with what is here now."""
        self.revision = self.marked = revision
        self._before.clear()

    def as_marked(self) -> Copy:
        """Another copy, as this one was at the last bookmark."""
        derived = map(dict, (self.resources, self.sums, self.ids_by_hash, self.model_configs))
        copy = Copy(self.revision, self.marked, *derived)
        # All that is there now goes before anything comes back: one resource may have taken a value or place of another.
        for key in self._before:
            copy.remove(key)
        for resource in self._before.values():
            if resource is not None:
                copy.put(resource)
        copy.mark(self.marked)
        return copy

    def put(self, resource: config_pb2.ConfigResource) -> None:
        """Adds a resource, or replaces the one with its kind and id."""
        key, revision = key_of(resource)
        self.remove(key)
        self.resources[key] = resource
        self._add(key[0], digest(*key, revision))
        for value in hashes_of(resource):
            self.ids_by_hash[value] = key[1]
        if resource.HasField("model_config"):
            self.model_configs[place_of(resource.model_config)] = key[1]

    def remove(self, key: Key) -> None:
        """Forgets a resource. It may be unknown: what came and went between two batches was never here."""
        self._before.setdefault(key, self.resources.get(key))
        resource = self.resources.pop(key, None)
        if resource is None:
            return
        self._add(key[0], -digest(*key, key_of(resource)[1]))
        for value in hashes_of(resource):
            # One batch may move a value from one key to another; then the entry is the other's by now.
            if self.ids_by_hash.get(value) == key[1]:
                del self.ids_by_hash[value]
        if resource.HasField("model_config") and self.model_configs.get(place_of(resource.model_config)) == key[1]:
            del self.model_configs[place_of(resource.model_config)]

    def virtual_key(self, value_sha256: bytes) -> hierarchy_pb2.VirtualKey | None:
        """The key that has, or before its last rotation had, a value with this hash."""
        id = self.ids_by_hash.get(value_sha256)
        return None if id is None else self.resources[KINDS["virtual_key"], id].virtual_key

    def team(self, id: str) -> hierarchy_pb2.Team | None:
        """A team by its id."""
        resource = self.resources.get((KINDS["team"], id))
        return resource and resource.team

    def customer(self, id: str) -> hierarchy_pb2.Customer | None:
        """A customer by its id."""
        resource = self.resources.get((KINDS["customer"], id))
        return resource and resource.customer

    def model_config(self, place: Place) -> model_config_pb2.ModelConfig | None:
        """The model config that limits exactly this."""
        id = self.model_configs.get(place)
        return None if id is None else self.resources[KINDS["model_config"], id].model_config

    def provider_governance(self, provider: str) -> provider_governance_pb2.ProviderGovernance | None:
        """What limits a provider as a whole."""
        resource = self.resources.get((KINDS["provider_governance"], provider))
        return resource and resource.provider_governance

    def _add(self, kind: int, amount: int) -> None:
        self.sums[kind] = (self.sums.get(kind, 0) + amount) % 2**64


@dataclass
class _Fragments:
    """A batch of which not all fragments are there yet."""

    range: tuple[int, int]
    upserts: list[config_pb2.ConfigResource] = field(default_factory=list)
    removes: list[Key] = field(default_factory=list)


class Fold:
    """Owns the copy, the resume token, and what of the stream is not whole yet.

    `copy` changes in whole batches, and while a snapshot comes in it stays as it was: what is decided from it is never
    decided from part of a revision.
    """

    def __init__(self, copy: Copy | None = None, resume_token: str = "") -> None:
        self.copy: Copy | None = copy
        """The newest whole state; `None` before the first snapshot."""
        self.resume_token: str = resume_token
        """The token of the last bookmark. It goes with the state that the copy had then."""
        self.usage = Usage()
        """What limits have used."""
        self.proofs: int = 0
        """How many times the digests of the server agreed with the copy."""
        self._begun = False
        self._snapshot = False
        self._staged: Copy | None = None
        """What is not in use yet: a snapshot that comes in, or a copy that resumes behind the one in use."""
        self._fragments: _Fragments | None = None

    @property
    def settled(self) -> bool:
        """Whether copy and token belong together, so that both may be stored. Any copy goes with no token."""
        return self.copy is not None and (not self.resume_token or self.copy.revision == self.copy.marked)

    def connect(self) -> tuple[str, int]:
        """Forgets what was not whole of the last stream; returns the token to open the next one with, and the
        `min_revision`: that of the copy, so that no replica that lags takes it back. Without a token it is 0, because then
        no server could tell that the revision is of a history that is lost, and would wait for it for ever."""
        self._forget_stream()
        return self.resume_token, self.copy.revision if self.copy and self.resume_token else 0

    def forget_token(self) -> None:
        """Makes the next stream a snapshot. The copy goes on being served until that is whole."""
        self.resume_token = ""

    def _forget_stream(self) -> None:
        self._begun, self._snapshot, self._staged, self._fragments = False, False, None, None

    def apply(self, message: config_service_pb2.WatchConfigResponse) -> None:
        """Folds one message in. After any error the next stream starts with a snapshot: that costs one transfer, while
        going on from a copy that is in doubt could go wrong for ever."""
        try:
            self._apply(message)
        except ProtocolError:
            self.forget_token()
            self._forget_stream()
            raise

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
            self.usage.apply(message.usage)
        elif event != "go_away":  # which is for the caller
            raise ProtocolError("an event that this program does not know")

    def _begin(self, begin: config_pb2.WatchBegin) -> None:
        self._forget_stream()
        self.usage.begin()
        self._begun = True
        if begin.mode == config_pb2.WATCH_MODE_SNAPSHOT:
            self._snapshot, self._staged = True, Copy()
        elif begin.mode != config_pb2.WATCH_MODE_RESUMED:
            raise ProtocolError(f"unknown mode {begin.mode}")
        elif self.copy is None or not self.resume_token:
            raise ProtocolError("the stream resumes, but there is nothing to go on from")
        elif not self.settled:
            # A batch came and its bookmark did not. The store may have lost what the batch brought (a backup was
            # restored), so that only the copy of the token is sure to be something to go on from.
            self._staged = self.copy.as_marked()

    def _batch(self, batch: config_pb2.ConfigBatch) -> None:
        target = self._target(batch.snapshot)
        span = batch.from_revision, batch.to_revision
        fragments = self._fragments or _Fragments(span)
        if fragments.range != span:
            raise ProtocolError(f"a fragment of {span} among those of {fragments.range}")
        if not span[0] <= target.revision < span[1]:
            raise ProtocolError(f"batch {span} does not fit a copy at {target.revision}")
        # Everything is checked before anything is applied, so that an error leaves the copy as it was.
        for resource in batch.upserts:
            if key_of(resource)[1] > batch.to_revision:
                raise ProtocolError(f"{key_of(resource)} is newer than its batch, which ends at {batch.to_revision}")
        fragments.upserts += batch.upserts
        fragments.removes += [(key.kind, key.id) for key in batch.removes]
        if batch.more:
            self._fragments = fragments
            return
        self._fragments = None
        if {key_of(resource)[0] for resource in fragments.upserts} & set(fragments.removes):
            raise ProtocolError("one batch both brings and removes a resource")
        for key in fragments.removes:
            target.remove(key)
        for resource in fragments.upserts:
            target.put(resource)
        target.revision = batch.to_revision
        if target is self._staged and not self._snapshot and target.revision >= self.copy.revision:
            self.copy, self._staged = target, None

    def _bookmark(self, bookmark: config_pb2.Bookmark) -> None:
        target = self._target(bookmark.snapshot_end)
        if self._fragments is not None:
            raise ProtocolError("a bookmark between the fragments of a batch")
        # Only a snapshot may take the copy in use back.
        cursor = target.revision if self._snapshot else self.copy.revision
        if bookmark.revision < cursor:
            raise ProtocolError(f"bookmark {bookmark.revision} behind a copy at {cursor}")
        if bookmark.digests:
            self._prove(target, bookmark.digests)
        target.mark(bookmark.revision)
        self.copy, self._staged, self._snapshot = target, None, False
        self.resume_token = bookmark.resume_token

    def _target(self, snapshot: bool) -> Copy:
        """The copy that a message is about: the one being staged, or the one in use."""
        if snapshot != self._snapshot:
            raise ProtocolError("messages of a snapshot and others are mixed")
        target = self._staged or self.copy
        assert target is not None, "a stream that resumes has a copy: see _begin"
        return target

    def _prove(self, target: Copy, digests: Iterable[config_pb2.KindDigest]) -> None:
        """Compares the sums over the copy with the server's; a kind that is not named has none."""
        theirs = {entry.kind: entry.digest for entry in digests}
        for kind in theirs.keys() | target.sums.keys():
            if target.sums.get(kind, 0) != theirs.get(kind, 0):
                raise ProtocolError(f"the copy of {resource_pb2.ResourceKind.Name(kind)} is not the server's")
        self.proofs += 1

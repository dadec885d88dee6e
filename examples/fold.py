"""The client's fold of `WatchConfig`: messages in, a copy of the configuration out, and what limits have used.

It is pure (no sockets, no clock, no files), so that it can be read next to the comments of `config_service.proto`, and
tested without a server. A caller opens a stream with `Fold.connect()`, feeds each message to `Fold.apply()`, and after
an error or the end of the stream starts again with `Fold.connect()`.
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
    what they limit."""

    revision: int = 0
    resources: dict[Key, config_pb2.ConfigResource] = field(default_factory=dict)
    sums: dict[int, int] = field(default_factory=dict)
    ids_by_hash: dict[bytes, str] = field(default_factory=dict)
    model_configs: dict[Place, str] = field(default_factory=dict)

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
        self.settled: bool = copy is not None
        """Whether copy and token belong together, so that both may be stored. Any copy goes with no token."""
        self.usage = Usage()
        """What limits have used."""
        self.proofs: int = 0
        """How many times the digests of the server agreed with the copy."""
        self._begun = False
        self._staged: Copy | None = None
        self._fragments: _Fragments | None = None

    def connect(self) -> str:
        """Forgets what was not whole of the last stream; returns the token to open the next one with.

        A stream that resumes goes on from the copy as it was when the token came. This fold keeps the newest only, so
        where a batch came and its bookmark did not, it starts over."""
        self._begun, self._staged, self._fragments = False, None, None
        if not self.settled:
            self.resume_token = ""
        return self.resume_token

    def forget_token(self) -> None:
        """Makes the next stream a snapshot. The copy goes on being served until that is whole."""
        self.resume_token = ""
        self.settled = self.copy is not None

    def apply(self, message: config_service_pb2.WatchConfigResponse) -> None:
        """Folds one message in. After any error the next stream starts with a snapshot: that costs one transfer, while
        going on from a copy that is in doubt could go wrong for ever."""
        try:
            self._apply(message)
        except ProtocolError:
            self.forget_token()
            self.connect()
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
        self.connect()
        self.usage.begin()
        self._begun = True
        if begin.mode == config_pb2.WATCH_MODE_SNAPSHOT:
            self._staged = Copy()
        elif begin.mode != config_pb2.WATCH_MODE_RESUMED:
            raise ProtocolError(f"unknown mode {begin.mode}")
        elif self.copy is None or not self.resume_token:
            raise ProtocolError("the stream resumes, but there is nothing to go on from")

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
        if not batch.snapshot:
            self.settled = False
        for key in fragments.removes:
            target.remove(key)
        for resource in fragments.upserts:
            target.put(resource)
        target.revision = batch.to_revision

    def _bookmark(self, bookmark: config_pb2.Bookmark) -> None:
        target = self._target(bookmark.snapshot_end)
        if self._fragments is not None:
            raise ProtocolError("a bookmark between the fragments of a batch")
        if bookmark.revision < target.revision:
            raise ProtocolError(f"bookmark {bookmark.revision} behind a copy at {target.revision}")
        if bookmark.digests:
            self._prove(target, bookmark.digests)
        target.revision = bookmark.revision
        self.copy, self._staged = target, None
        self.resume_token, self.settled = bookmark.resume_token, True

    def _target(self, snapshot: bool) -> Copy:
        """The copy that a message is about: the one being staged, or the one in use."""
        if snapshot != (self._staged is not None):
            raise ProtocolError("messages of a snapshot and others are mixed")
        target = self._staged if snapshot else self.copy
        assert target is not None, "a stream that resumes has a copy: see _begin"
        return target

    def _prove(self, target: Copy, digests: Iterable[config_pb2.KindDigest]) -> None:
        """Compares the sums over the copy with the server's; a kind that is not named has none."""
        theirs = {entry.kind: entry.digest for entry in digests}
        for kind in theirs.keys() | target.sums.keys():
            if target.sums.get(kind, 0) != theirs.get(kind, 0):
                raise ProtocolError(f"the copy of {resource_pb2.ResourceKind.Name(kind)} is not the server's")
        self.proofs += 1

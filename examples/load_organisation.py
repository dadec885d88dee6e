"""Loads an organisation from a file into a control plane, so that running it again changes nothing.

Resources are found by their names: those that are missing are created, the others are updated to what the file says.
A field that the file leaves out is left alone, so a key that somebody has deactivated stays that way; and nothing is
ever deleted. Whether an update changes anything is for the server to decide: one that does not takes no revision.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc.error_details_pb2 import BadRequest, PreconditionFailure
from grpc_status import rpc_status
from tollgate.v1 import (
    config_service_pb2,
    config_service_pb2_grpc,
    customer_service_pb2,
    customer_service_pb2_grpc,
    mcp_client_service_pb2,
    mcp_client_service_pb2_grpc,
    provider_service_pb2,
    provider_service_pb2_grpc,
    team_service_pb2,
    team_service_pb2_grpc,
    virtual_key_service_pb2,
    virtual_key_service_pb2_grpc,
)

Fields = dict[str, Any]
"""Fields of a message, as its JSON has them."""

Metadata = tuple[tuple[str, str], ...]
"""What goes with every call: the access token, if there is one. Never to be shown."""

KINDS = {
    "provider": (provider_service_pb2, provider_service_pb2_grpc),
    "mcp_client": (mcp_client_service_pb2, mcp_client_service_pb2_grpc),
    "customer": (customer_service_pb2, customer_service_pb2_grpc),
    "team": (team_service_pb2, team_service_pb2_grpc),
    "virtual_key": (virtual_key_service_pb2, virtual_key_service_pb2_grpc),
}

RETRIES = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.2s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
            },
        }
    ]
}
"""Left to the channel: each write has a `request_id`, so a retry of one that did arrive does nothing again."""


class Collection:
    """The resources of one kind at the server, by name.

    All kinds have the same five methods, which differ in nothing but their names; so one class does for all.
    """

    def __init__(self, channel: grpc.Channel, metadata: Metadata, kind: str) -> None:
        self.kind = kind
        self._metadata = metadata
        self.outcomes: Counter[str] = Counter()
        self._messages, services = KINDS[kind]
        self._type = "".join(word.capitalize() for word in kind.split("_"))
        self._stub = getattr(services, f"{self._type}ServiceStub")(channel)
        self._known = {resource.name: resource for resource in self._list()}

    def apply(self, fields: Fields, on_create: Fields | None = None) -> Any:
        """Makes the resource with this name what `fields` says; `on_create` is for a new one only."""
        before = self._known.get(fields["name"])
        if before is None:
            after = self._call("Create", **{self.kind: {**fields, **(on_create or {})}})
            self.outcomes["created"] += 1
        else:
            desired = {**fields, "id": before.id}
            for entries in ("provider_configs", "mcp_configs"):
                if entries in fields:
                    desired[entries] = _with_ids(fields[entries], getattr(before, entries))
            mask = FieldMask(paths=[path for path in fields if path != "name"])
            after = self._call("Update", **{self.kind: desired}, update_mask=mask)
            self.outcomes["unchanged" if after.revision == before.revision else "changed"] += 1
        self._known[after.name] = after
        return after

    def rotate(self, id: str) -> Any:
        """Gives a virtual key a new secret."""
        return self._call("Rotate", id=id)

    def _list(self) -> Iterator[Any]:
        request = getattr(self._messages, f"List{self._type}sRequest")(page_size=1000)
        while True:
            answer = getattr(self._stub, f"List{self._type}s")(request, metadata=self._metadata)
            yield from getattr(answer, f"{self.kind}s")
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token

    def _call(self, verb: str, **content: Any) -> Any:
        """Calls a method that writes. The same `request_id` goes with every attempt of this one call."""
        request = getattr(self._messages, f"{verb}{self._type}Request")(request_id=str(uuid.uuid4()))
        if self.kind in content:
            json_format.ParseDict(content.pop(self.kind), getattr(request, self.kind))
        for name, value in content.items():
            request.MergeFrom(type(request)(**{name: value}))
        answer = getattr(self._stub, f"{verb}{self._type}")(request, metadata=self._metadata)
        return getattr(answer, self.kind)


def _with_ids(desired: list[Fields], existing: Any) -> list[Fields]:
    """Gives each described entry of a key the id of the entry that it stands for: without an id it would be a new one,
    which starts with unused limits. Entries have no names, so the n-th for a provider is taken for the n-th."""
    ids: dict[str, list[int]] = defaultdict(list)
    for entry in existing:
        ids[getattr(entry, "provider", "") or entry.mcp_client_name].append(entry.id)
    result = []
    for entry in desired:
        candidates = ids[entry.get("provider") or entry["mcp_client_name"]]
        result.append({**entry, "id": candidates.pop(0)} if candidates else entry)
    return result


class KeyFile:
    """Where secrets go: lines of JSON, readable by the owner alone.

    A secret is shown once, so each is on disk before the next key is made: were this program to be stopped, all that
    it could lose is the one secret whose answer had not arrived. A later line for the same name replaces an earlier.
    """

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        os.fchmod(descriptor, 0o600)
        self._file = os.fdopen(descriptor, "r+", encoding="utf-8")
        self.ids = {json.loads(line)["id"] for line in self._file}

    def add(self, key: Any) -> None:
        """Keeps the secret of a key."""
        self._file.write(json.dumps({"name": key.name, "id": key.id, "value": key.value}) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.ids.add(key.id)


@dataclass
class Loader:
    """Walks the description from what is named to what names it."""

    collections: dict[str, Collection]
    access: dict[str, Fields]
    key_file: KeyFile
    without_secret: int = 0

    def load(self, organisation: Fields) -> None:
        """Loads everything."""
        for provider in organisation["providers"]:
            # Built-in providers are there already; those that are not are made.
            self.collections["provider"].apply(provider)
        for client in organisation["mcp_clients"]:
            self.collections["mcp_client"].apply(client)
        for customer in organisation["customers"]:
            id = self.collections["customer"].apply(_without(customer, "teams", "keys")).id
            for team in customer.get("teams", []):
                self.load_team({**team, "customer_id": id})
            self.load_keys(customer, {"customer_id": id})
        for team in organisation["teams"]:
            self.load_team(team)

    def load_team(self, team: Fields) -> None:
        """Loads a team and its keys."""
        id = self.collections["team"].apply(_without(team, "keys")).id
        self.load_keys(team, {"team_id": id})

    def load_keys(self, owner: Fields, belongs_to: Fields) -> None:
        """Loads the keys of a team or a customer. `each` makes many of one entry: a list of names, or a number."""
        for entry in owner.get("keys", []):
            each = entry.get("each", [""])
            names = range(1, each + 1) if isinstance(each, int) else each
            described = _without(entry, "each", "access", "expires_in_days")
            common = {**described, **self.access[entry["access"]], **belongs_to}
            # Counted from the creation of the key; on later runs the key keeps the end that it has.
            days = entry.get("expires_in_days")
            ends = {"expires_at": _in_days(days)} if days else {}
            for name in names:
                self.load_key({**common, "name": entry["name"].format(name)}, ends)

    def load_key(self, fields: Fields, on_create: Fields) -> None:
        """Loads one key, and keeps its secret if it is new."""
        keys = self.collections["virtual_key"]
        created = keys.outcomes["created"]
        key = keys.apply(fields, on_create)
        if keys.outcomes["created"] > created:
            # The answer to a retry that found the key made has a mask for a secret: the secret was lost on the way.
            self.key_file.add(keys.rotate(key.id) if "…" in key.value else key)
        elif key.id not in self.key_file.ids:
            self.without_secret += 1


def _without(fields: Fields, *names: str) -> Fields:
    return {name: value for name, value in fields.items() if name not in names}


def _in_days(days: int) -> str:
    return (datetime.now(timezone.utc) + timedelta(days=days)).isoformat(timespec="seconds").replace("+00:00", "Z")


def explain(error: grpc.RpcError) -> str:
    """What the server said about an error: all violations, if it listed some, for its message has only the first."""
    if error.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        return f"the server refuses the access token: {error.code().name}: {error.details()}"
    violations: list[str] = []
    status = rpc_status.from_call(error)
    for detail in status.details if status else []:
        bad, failed = BadRequest(), PreconditionFailure()
        if detail.Unpack(bad):
            violations += (f"{violation.field}: {violation.description}" for violation in bad.field_violations)
        elif detail.Unpack(failed):
            violations += (f"{violation.subject}: {violation.description}" for violation in failed.violations)
    return "\n  ".join([error.code().name, *(violations or [error.details()])])


def head_revision(channel: grpc.Channel, metadata: Metadata) -> int:
    """The revision of the last change."""
    stub = config_service_pb2_grpc.ConfigServiceStub(channel)
    changes = stub.ListChanges(config_service_pb2.ListChangesRequest(page_size=1), metadata=metadata).changes
    return changes[0].revision if changes else 0


def connect(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> grpc.Channel:
    """A channel to the server, over TLS to one at https://."""
    scheme, _, address = arguments.server.rpartition("://")
    options = [("grpc.service_config", json.dumps(RETRIES))]
    if scheme not in ("", "http", "https"):
        parser.error("--server is written as HOST:PORT or https://HOST:PORT")
    if scheme != "https":
        return grpc.insecure_channel(address, options)
    try:
        ca = Path(arguments.tls_ca).read_bytes() if arguments.tls_ca else None
    except OSError as error:
        parser.error(f"--tls-ca cannot be read: {error}")
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(ca), options)


def main() -> int:
    """The command line. Its flags and their environment variables are those of `tollgate`'s own commands."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(
        description="Load an organisation into a control plane. TOLLGATE_TOKEN is the access token to show."
    )
    server, ca = os.environ.get("TOLLGATE_SERVER") or "127.0.0.1:50051", os.environ.get("TOLLGATE_TLS_CA")
    parser.add_argument("--server", default=server, help="the server; https://HOST:PORT for one with TLS [%(default)s]")
    parser.add_argument("--tls-ca", default=ca, help="PEM file of the CA that signed the server's certificate")
    parser.add_argument("--organisation", type=Path, default=here / "organisation.json", help="file that describes it")
    parser.add_argument("--keys", type=Path, required=True, help="file to append the secrets of new keys to; mode 0600")
    arguments = parser.parse_args()
    access_token = os.environ.get("TOLLGATE_TOKEN")
    metadata = (("authorization", f"Bearer {access_token}"),) if access_token else ()

    organisation = json.loads(arguments.organisation.read_text(encoding="utf-8"))
    with connect(parser, arguments) as channel:
        try:
            collections = {kind: Collection(channel, metadata, kind) for kind in KINDS}
            loader = Loader(collections, organisation["access"], KeyFile(arguments.keys))
            loader.load(organisation)
            revision = head_revision(channel, metadata)
        except grpc.RpcError as error:
            print(explain(error), file=sys.stderr)
            return 1
    for kind, collection in collections.items():
        print(f"{kind:12}", *(f"{collection.outcomes[name]:4} {name}" for name in ("created", "changed", "unchanged")))
    print(f"revision     {revision:4}")
    if loader.without_secret:
        print(f"{loader.without_secret} keys have no secret in {arguments.keys}; RotateVirtualKey makes new ones")
    return 0


if __name__ == "__main__":
    sys.exit(main())

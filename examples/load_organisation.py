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
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from tollgate import Admin, TollgateError
from tollgate.errors import PermissionDenied, Unauthenticated

Fields = dict[str, Any]
"""Fields of a message, by their names."""

KINDS = ("provider", "mcp_client", "customer", "team", "virtual_key")


class Collection:
    """The resources of one kind at the server, by name."""

    def __init__(self, admin: Admin, kind: str) -> None:
        self.resources = getattr(admin, f"{kind}s")
        self.outcomes: Counter[str] = Counter()
        self._known = {resource.name: resource for resource in self.resources.list()}

    def apply(self, fields: Fields, on_create: Fields | None = None) -> Any:
        """Makes the resource with this name what `fields` says; `on_create` is for a new one only."""
        before = self._known.get(fields["name"])
        if before is None:
            after = self.resources.create(**fields, **(on_create or {}))
            self.outcomes["created"] += 1
        else:
            desired = _without(fields, "name")
            for entries in ("provider_configs", "mcp_configs"):
                if entries in fields:
                    desired[entries] = _with_ids(fields[entries], getattr(before, entries))
            after = self.resources.update(before.id, **desired)
            self.outcomes["unchanged" if after.revision == before.revision else "changed"] += 1
        self._known[after.name] = after
        return after


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
            self.key_file.add(keys.resources.rotate(key.id) if "…" in key.value else key)
        elif key.id not in self.key_file.ids:
            self.without_secret += 1


def _without(fields: Fields, *names: str) -> Fields:
    return {name: value for name, value in fields.items() if name not in names}


def _in_days(days: int) -> datetime:
    return datetime.now(timezone.utc) + timedelta(days=days)


def main() -> int:
    """The command line. Its flags and their environment variables are those of `tollgate`'s own commands."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(
        description="Load an organisation into a control plane. TOLLGATE_TOKEN is the access token to show."
    )
    parser.add_argument("--server", help="the server, https://HOST:PORT for one with TLS [TOLLGATE_SERVER, 127.0.0.1:50051]")
    parser.add_argument("--tls-ca", help="PEM file of the CA that signed the server's certificate [TOLLGATE_TLS_CA]")
    parser.add_argument("--organisation", type=Path, default=here / "organisation.json", help="file that describes it")
    parser.add_argument("--keys", type=Path, required=True, help="file to append the secrets of new keys to; mode 0600")
    arguments = parser.parse_args()
    organisation = json.loads(arguments.organisation.read_text(encoding="utf-8"))
    try:
        with Admin(arguments.server, tls_ca=arguments.tls_ca) as admin:
            collections = {kind: Collection(admin, kind) for kind in KINDS}
            loader = Loader(collections, organisation["access"], KeyFile(arguments.keys))
            loader.load(organisation)
            revision = next((change.revision for change in admin.changes(page_size=1)), 0)
    except (Unauthenticated, PermissionDenied) as error:
        print(f"the server refuses the access token: {error}", file=sys.stderr)
        return 1
    except (TollgateError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    for kind, collection in collections.items():
        print(f"{kind:12}", *(f"{collection.outcomes[name]:4} {name}" for name in ("created", "changed", "unchanged")))
    print(f"revision     {revision:4}")
    if loader.without_secret:
        print(f"{loader.without_secret} keys have no secret in {arguments.keys}; RotateVirtualKey makes new ones")
    return 0


if __name__ == "__main__":
    sys.exit(main())

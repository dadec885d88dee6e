"""A data-plane node in miniature: it folds WatchConfig into memory and decides from there.

The fold is that of `config_service.proto`, in few lines:

- fragments are staged until the one without `more`; a snapshot is staged whole, and swapped in at its end;
- the token of a bookmark is stored with the copy as of that bookmark, because a stream that resumes goes on from there;
- digests prove the copy; where they differ, the node starts over without a token.

Whatever happens to the stream, the node goes on deciding with the newest whole copy that it has.
"""

import argparse
import hashlib
import json
import os
import random
import sys
import time

import grpc

from stubs import messages, service, v1

config = messages("config")


class WrongCopy(Exception):
    """The copy is not what the server has."""


def digest(kind: int, identity: str, revision: int) -> int:
    """What one resource adds to the digest of its kind."""
    text = f"{kind}/{identity}/{revision}".encode("ascii", "surrogateescape")
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big")


class Node:
    """The copy, the cursor and the token; with --state they outlive the process."""

    def __init__(self, path: str | None) -> None:
        self.path = path
        self.token = ""
        self.cursor = 0
        # (kind, id) -> ConfigResource; `marked` is the copy as of the token.
        self.copy: dict[tuple[int, str], object] = {}
        self.marked: dict[tuple[int, str], object] = {}
        self.marked_at = 0
        if path and os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                kept = json.load(file)
            self.token, self.cursor = kept["token"], kept["revision"]
            for kind, identity, encoded in kept["resources"]:
                self.copy[kind, identity] = config.ConfigResource.FromString(bytes.fromhex(encoded))
            self.mark()
        self.index()

    def mark(self) -> None:
        """Remembers the copy as that of the token."""
        self.marked, self.marked_at = dict(self.copy), self.cursor

    def save(self) -> None:
        """Writes copy and token together, so that neither is ever without the other."""
        if not self.path:
            return
        resources = [(*key, resource.SerializeToString().hex()) for key, resource in self.marked.items()]
        kept = {"token": self.token, "revision": self.marked_at, "resources": resources}
        with open(f"{self.path}.new", "w", encoding="utf-8") as file:
            json.dump(kept, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(f"{self.path}.new", self.path)

    def index(self) -> None:
        """Keys by the hash of their secret, for decisions."""
        self.keys = {}
        for resource in self.copy.values():
            if resource.WhichOneof("resource") == "virtual_key":
                key = resource.virtual_key
                self.keys[key.value_sha256] = (key, None)
                if key.previous_value_sha256:
                    self.keys[key.previous_value_sha256] = (key, key.previous_value_expires_at.ToSeconds())

    def decide(self, secret: str) -> str:
        """What becomes of a request with this key."""
        found = self.keys.get(hashlib.sha256(secret.encode()).digest())
        if found is None or (found[1] is not None and time.time() >= found[1]):
            return "unknown"
        key, _ = found
        if not key.is_active:
            return f"{key.name}: inactive"
        if key.HasField("expires_at") and key.expires_at.ToSeconds() <= time.time():
            return f"{key.name}: expired"
        allowed = ", ".join(f"{entry.provider} {list(entry.allowed_models)}" for entry in key.provider_configs)
        return f"{key.name}: allowed {allowed}"

    def prove(self, copy: dict, digests: list) -> None:
        """Compares the sums over the copy with the server's."""
        sums: dict[int, int] = {}
        for (kind, identity), resource in copy.items():
            revision = getattr(resource, resource.WhichOneof("resource")).revision
            sums[kind] = (sums.get(kind, 0) + digest(kind, identity, revision)) % 2**64
        for proof in digests:
            if sums.get(proof.kind, 0) != proof.digest:
                raise WrongCopy(f"kind {proof.kind}")

    def follow(self, channel: grpc.Channel, until: int) -> bool:
        """Folds one stream. Whether the copy has reached revision `until`."""
        stream = service("Config", channel).WatchConfig(
            v1("Config").WatchConfigRequest(node_id="example", resume_token=self.token)
        )
        staged, cursor, snapshot, fragments = dict(self.marked), self.marked_at, False, []
        for message in stream:
            event = message.WhichOneof("event")
            if event == "begin":
                mode = config.WatchMode.Name(message.begin.mode)
                print(mode, config.WatchReason.Name(message.begin.reason), flush=True)
                snapshot = message.begin.mode == config.WATCH_MODE_SNAPSHOT
                if snapshot:
                    staged, cursor = {}, 0
            elif event == "batch":
                fragments.append(message.batch)
                if message.batch.more:
                    continue
                if not message.batch.from_revision <= cursor < message.batch.to_revision:
                    raise WrongCopy(f"a batch from {message.batch.from_revision}, but the copy is at {cursor}")
                for fragment in fragments:
                    for resource in fragment.upserts:
                        kind = resource.WhichOneof("resource")
                        number = resource.DESCRIPTOR.fields_by_name[kind].number
                        staged[number, getattr(resource, kind).id] = resource
                    for key in fragment.removes:
                        staged.pop((key.kind, key.id), None)
                cursor, fragments = message.batch.to_revision, []
                if not snapshot and cursor >= self.cursor:
                    self.copy, self.cursor = dict(staged), cursor
                    self.index()
            elif event == "bookmark":
                if message.bookmark.digests:
                    self.prove(staged, message.bookmark.digests)
                cursor, snapshot = message.bookmark.revision, False
                self.copy, self.cursor, self.token = dict(staged), cursor, message.bookmark.resume_token
                self.mark()
                self.index()
                self.save()
                if 0 <= until <= cursor:
                    stream.cancel()
                    return True
            elif event == "go_away":
                print(f"go away: {message.go_away.reason}", flush=True)
            else:
                raise WrongCopy("an event that this node does not know")
        return False


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", default="127.0.0.1:50051")
    parser.add_argument("--state", help="file that keeps copy and token over restarts")
    parser.add_argument("--until", type=int, default=-1, help="stop at this revision or later, then decide")
    parser.add_argument("--check", help="file with keys to decide on: a JSON object of secrets by name")
    arguments = parser.parse_args()
    node, wait = Node(arguments.state), 0.1
    while True:
        try:
            with grpc.insecure_channel(arguments.server) as channel:
                if node.follow(channel, arguments.until):
                    break
            wait = 0.1
        except grpc.RpcError as error:
            print(f"disconnected ({error.code().name}); {len(node.keys)} keys still held", file=sys.stderr)
        except WrongCopy as error:
            print(f"the copy is wrong ({error}); starting over", file=sys.stderr)
            node.token = ""
        # Full jitter, so that nodes do not come back all at once.
        time.sleep(random.uniform(0, wait))
        wait = min(wait * 2, 10.0)
    print(f"revision {node.cursor}, {len(node.copy)} resources, {len(node.keys)} keys")
    if arguments.check:
        with open(arguments.check, encoding="utf-8") as file:
            for secret in json.load(file).values():
                print(node.decide(secret))


if __name__ == "__main__":
    main()

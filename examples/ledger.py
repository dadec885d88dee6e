"""The node's ledger of usage: an append-only file of numbered batches, each on disk before anybody hears of it.

Batches are numbered 1, 2, 3, … for as long as the file lives. The server numbers anew in each incarnation of the
node, so the ledger also notes with which of its batches an incarnation began. It knows nothing of sockets or clocks.

Each line of the file is a JSON object: a batch, a registration, or an acknowledgement. Nothing is ever removed from it:
a node that is to run for years drops batches some time after they were acknowledged.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from tollgate.v1 import usage_pb2, usage_service_pb2

AMOUNTS = "requests", "input_tokens", "output_tokens", "cost_nano_usd"
"""What a usage entry counts."""


@dataclass(frozen=True)
class Registration:
    """An incarnation of the node, and the batch of the ledger that is its first."""

    incarnation: int
    store_id: str
    first: int


class Ledger:
    """The file, and what it says."""

    def __init__(self, path: Path) -> None:
        """Reads the file, or begins it. It is locked: two nodes would give one number to two batches."""
        is_new = not path.exists()
        self._file = open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "r+b", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"{path} belongs to a node that is running") from None
        if is_new:
            _sync_directory(path.parent)
        self.batches: dict[int, list[usage_pb2.UsageEntry]] = {}
        """Batches by their numbers. They never change."""
        self.last: int = 0
        """The number of the last batch."""
        self.acknowledged: int = 0
        """Up to this batch, the server has counted all. The next one is the oldest that it may not have."""
        self.registration: Registration | None = None
        """Whether the server can know this node's batches, and by what numbers."""
        self.rejected: dict[int, dict[int, str]] = {}
        """Entries that the server did not count, and why: by batch and place."""
        whole = 0
        for line in self._file.read().splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break
            self._take(json.loads(line))
            whole += len(line)
        # What was being written when the node died was not on disk, so it was never sent, nor was its request answered.
        self._file.truncate(whole)

    def append(self, entries: list[usage_pb2.UsageEntry]) -> int:
        """Notes what was consumed. When this returns, it is on disk. Returns the number of the batch."""
        number = self.last + 1
        as_dicts = [json_format.MessageToDict(entry, preserving_proto_field_name=True) for entry in entries]
        self._write({"batch": number, "entries": as_dicts})
        return number

    def register(self, incarnation: int, store_id: str) -> None:
        """Begins an incarnation with the oldest batch that is not acknowledged. It is on disk before anything is sent in
        it: else a node that is restarted would register again, and send in a new incarnation what this one has sent."""
        registration = Registration(incarnation, store_id, self.acknowledged + 1)
        self._write({"registered": asdict(registration)})

    def acknowledge(self, number: int, rejected: Iterable[usage_pb2.RejectedEntry] = ()) -> None:
        """Notes that all up to `number` was counted, but for what was rejected. It need not reach the disk: what is sent
        again is a duplicate."""
        reasons = {str(entry.index): entry.reason for entry in rejected}
        self._write({"acknowledged": number} | ({"rejected": reasons} if reasons else {}), sync=False)

    def sequence(self, number: int) -> int:
        """The number that a batch has in the incarnation."""
        return number - self.registration.first + 1

    def number(self, sequence: int) -> int:
        """The batch that has this number in the incarnation."""
        return self.registration.first + sequence - 1

    def request(self, node_id: str, number: int) -> usage_service_pb2.ReportUsageRequest:
        """A batch as it is sent: always the same."""
        return usage_service_pb2.ReportUsageRequest(
            node_id=node_id,
            incarnation=self.registration.incarnation,
            sequence=self.sequence(number),
            entries=self.batches[number],
        )

    def totals(self) -> dict[str, Counter[str]]:
        """What every key has consumed, without what the server rejected."""
        totals: dict[str, Counter[str]] = {}
        for number, entries in self.batches.items():
            for index, entry in enumerate(entries):
                if index not in self.rejected.get(number, {}):
                    of_key = totals.setdefault(entry.virtual_key_id, Counter())
                    of_key.update({amount: getattr(entry, amount) for amount in AMOUNTS})
        return totals

    def _write(self, record: dict[str, Any], sync: bool = True) -> None:
        """Appends a line, whole or not at all."""
        line = json.dumps(record).encode() + b"\n"
        end = os.fstat(self._file.fileno()).st_size
        try:
            if self._file.write(line) != len(line):
                raise OSError(f"{self._file.name}: cannot be written: is the disk full?")
            if sync:
                os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(end)
            raise
        self._take(record)

    def _take(self, record: dict[str, Any]) -> None:
        if "batch" in record:
            self.last = record["batch"]
            self.batches[self.last] = [
                json_format.ParseDict(entry, usage_pb2.UsageEntry()) for entry in record["entries"]
            ]
        elif "registered" in record:
            self.registration = Registration(**record["registered"])
        else:
            # It goes back where the server has lost what it had: then what is later was not rejected either.
            self.acknowledged = record["acknowledged"]
            self.rejected = {number: why for number, why in self.rejected.items() if number <= self.acknowledged}
            if "rejected" in record:
                self.rejected[self.acknowledged] = {int(index): why for index, why in record["rejected"].items()}


def _sync_directory(path: Path) -> None:
    """Makes a new file's name durable too."""
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)

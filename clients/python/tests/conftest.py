"""A control plane and a node of the real program, in a temporary directory, for all tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tollgate import Admin, Gate
from tollgate.v1.hierarchy_pb2 import VirtualKey

ROOT = Path(__file__).resolve().parents[3]
NEVER = [{"max_limit": 1000, "reset_duration": "never"}]
"""A budget that counts and is not used up."""
T = TypeVar("T")


def eventually(check: Callable[[], T], why: str) -> T:
    """What `check` returns once that is true; it has 60 seconds."""
    deadline = time.monotonic() + 60
    while not (found := check()):
        assert time.monotonic() < deadline, f"gave up waiting: {why}"
        time.sleep(0.02)
    return found


class Program:
    """A running `tollgate`, which can be killed and started again at the same place."""

    def __init__(self, directory: Path, name: str, *arguments: str, listen: str = "127.0.0.1:0") -> None:
        self._directory, self._name, self._arguments = directory, name, arguments
        self.place = listen
        self.start()

    def start(self) -> None:
        ready, log = self._directory / f"{self._name}.place", self._directory / f"{self._name}.log"
        ready.unlink(missing_ok=True)
        command = [str(binary()), *self._arguments, "--listen", self.place, "--ready-file", str(ready)]
        with log.open("a") as file:
            self._process = subprocess.Popen(command, stderr=file, cwd=self._directory)

        def place() -> str:
            assert self._process.poll() is None, log.read_text()
            return ready.read_text().strip() if ready.exists() else ""

        self.place = eventually(place, f"{self._name} starts")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def binary() -> Path:
    """The program under test; without it the tests are skipped, loudly, and fail in CI."""
    given = os.environ.get("TOLLGATE_BINARY") or str(ROOT / "target/debug/tollgate")
    if found := shutil.which(given):
        return Path(found).resolve()
    why = f"there is no program at {given}; build it with `cargo build`, or name one with TOLLGATE_BINARY"
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(f"SKIPPED: {why}")


@pytest.fixture(scope="package")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tollgate")


@pytest.fixture(scope="package")
def server(directory: Path) -> Iterator[Program]:
    program = Program(directory, "server", "serve", "--database", f"sqlite://{directory}/tollgate.db")
    yield program
    program.kill()


@pytest.fixture(scope="package")
def node(directory: Path, server: Program) -> Iterator[Program]:
    arguments = (
        "node",
        "--server",
        f"http://{server.place}",
        "--node-id",
        "test",
        "--data-dir",
        str(directory / "node"),
    )
    program = Program(directory, "node", *arguments)
    yield program
    program.kill()


@pytest.fixture(scope="package")
def admin(server: Program) -> Iterator[Admin]:
    with Admin(f"http://{server.place}") as client:
        yield client


@pytest.fixture(scope="package")
def gate(node: Program) -> Iterator[Gate]:
    with Gate(node.place) as client:
        yield client


def new_key(admin: Admin, gate: Gate, name: str, *providers: str, **fields: object) -> VirtualKey:
    """A key for all models of the providers, OpenAI if none is named, that the node knows already."""
    configs = [
        {"provider": provider, "weight": 1, "allowed_models": ["*"], "key_ids": ["*"]}
        for provider in providers or ("openai",)
    ]
    key = admin.virtual_keys.create(name=name, provider_configs=configs, **fields)
    eventually(lambda: gate.status().revision >= key.revision, "the node hears of the key")
    return key


def spent(admin: Admin, key: str) -> int:
    """Nano-dollars that the server has counted against the budget of a key."""
    return admin.virtual_keys.get(key).budgets[0].current_usage_nano_usd

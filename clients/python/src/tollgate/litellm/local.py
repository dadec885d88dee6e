"""A node that LiteLLM's workers start themselves: one for all workers of a machine. The worker that holds a lock starts
it, and when that worker ends, another takes over."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import sys
from pathlib import Path

_PAUSE = 0.5


class LocalNode:
    """The node of this machine, in the directory that `TOLLGATE_NODE_DATA_DIR` names."""

    def __init__(self, binary: str) -> None:
        self._directory = Path(os.environ.get("TOLLGATE_NODE_DATA_DIR") or "tollgate-node").absolute()
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._socket = self._directory / "node.sock"
        self.place = f"unix://{self._socket}"
        """Where it listens."""
        command = [binary, "node", "--data-dir", str(self._directory), "--listen", self.place]
        # Isolated, so that the directory of the package is not where it looks for modules.
        self._command = [sys.executable, "-I", str(Path(__file__).with_name("supervise.py")), *command]
        self._task = asyncio.ensure_future(self._keep())

    @staticmethod
    def find() -> LocalNode | None:
        """The node of this machine, if there is a program to run it with."""
        binary = shutil.which(os.environ.get("TOLLGATE_BINARY") or "tollgate")
        return LocalNode(binary) if binary else None

    async def _keep(self) -> None:
        """Tries to be the worker whose node it is, and keeps the node running."""
        lock = os.open(self._directory / "worker.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        node: asyncio.subprocess.Process | None = None
        while True:
            if _locked(lock) and (node is None or node.returncode is not None):
                # It ends when this process does, which closes its input; a signal from the terminal is for LiteLLM.
                node = await asyncio.create_subprocess_exec(
                    *self._command, stdin=asyncio.subprocess.PIPE, start_new_session=True
                )
            await asyncio.sleep(_PAUSE)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

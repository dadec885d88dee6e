"""Runs a program for as long as standard input is open, so that it does not outlive whoever started it."""

import subprocess
import sys
import threading


def _main() -> int:
    program = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)

    def end() -> None:
        sys.stdin.buffer.read()
        program.terminate()

    threading.Thread(target=end, daemon=True).start()
    return program.wait()


if __name__ == "__main__":
    sys.exit(_main())

"""Reaper: ends what a Ray that was killed leaves behind; `python -m services.graph.reaper MARK`.

Ray's agents tell Ray's own server that their raylet has died before they end themselves; where the
server has died as well, they wait for it for ever.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

MARK: Final = "RAY_REELPAGE_MARK"
"""Variable that all processes of one Ray have in their environment."""
_GRACE_S: Final = 5.0  # in which they end by themselves
_ROUNDS: Final = 3


_running: Final[list["subprocess.Popen[bytes]"]] = []  # their pipes are open as long as we run


def watch(mark: str) -> None:
    """Start a process that outlives this one, and then ends all that has the mark. Linux."""
    command = [sys.executable, "-P", "-m", __spec__.name, mark]
    bare = {name: value for name, value in os.environ.items() if name != MARK}
    _running.append(
        subprocess.Popen(command, stdin=subprocess.PIPE, env=bare, start_new_session=True)
    )


def _left(mark: str) -> Iterator[int]:
    wanted = f"{MARK}={mark}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another user's
            if wanted in (process / "environ").read_bytes().split(b"\0"):
                yield int(process.name)


def main() -> None:
    """Wait for the end of who started this, by the end of its pipe."""
    sys.stdin.buffer.read()
    for _ in range(_ROUNDS):
        time.sleep(_GRACE_S)
        for pid in _left(sys.argv[1]):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()

"""Launch: the zygote as the process sees it whose media are decoded.

One zygote a process, started with the first medium. It is a new program with a cleared
environment, so nothing that its parent holds in memory or has open comes with it, whenever it is
started.
"""

import atexit
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

# The zygote finds packages where its parent does, whatever its own environment would say.
_START: Final = (
    "import sys; sys.path[:] = sys.argv.pop().split(chr(10)); "
    "from importlib import import_module; import_module(sys.argv.pop()).main()"
)
ENVIRONMENT: Final = {
    "LC_ALL": "C.UTF-8",
    "PATH": "/usr/bin:/bin",
    "OPENBLAS_NUM_THREADS": "1",  # no library may have a second thread when children are forked
    "OMP_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 20),  # fixed, or glibc keeps what a large index took
}


def command(module: str, *arguments: str) -> list[str]:
    """How a new program is started that calls `main` of a module."""
    search = [str(Path(place).absolute()) for place in sys.path]
    return [sys.executable, "-I", "-B", "-c", _START, *arguments, module, "\n".join(search)]


class Zygote:
    """A running zygote; any thread may use it."""

    def __init__(self, module: str = "pipeline.decode.zygote") -> None:
        """Start it, without waiting until it is warm.

        Args:
            module: whose `main` serves orders.
        """
        self._orders, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                command(module),
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=ENVIRONMENT,
                cwd="/",
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process number."""
        return int(self._process.pid)

    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def fork(
        self, medium: int, order: Mapping[str, Any], answers: int | None = None
    ) -> tuple[int, socket.socket]:
        """Have a child forked.

        Args:
            medium: descriptor of a file.
            order: what to do with it, as JSON.
            answers: the child's end of a pipe on which it is told what of the medium is there;
                None if all is.

        Returns:
            The end of the pipe from which to read, and the control socket: it tells the child's
            exit code, and closing it kills the child. If the zygote is gone both are at their end.
        """
        control, their_control = socket.socketpair()
        output, their_output = os.pipe()
        with suppress(OSError), their_control:
            descriptors = [medium, their_output, their_control.fileno()]
            descriptors += [] if answers is None else [answers]
            socket.send_fds(self._orders, [b"\0"], descriptors)
        os.close(their_output)
        with suppress(OSError):
            control.sendall(json.dumps(order).encode() + b"\n")
        return output, control

    def close(self) -> None:
        """End it and its children."""
        self._orders.close()
        self._process.wait()

    def disown(self) -> None:
        """Leave it to the process that this one was forked from."""
        self._orders.close()
        self._process.returncode = 0  # not ours to wait for


class _Keeper:
    """Holds the zygote of this process, and starts a new one when that has died."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._zygote: Zygote | None = None

    def get(self) -> Zygote:
        with self._lock:
            if self._zygote is not None and not self._zygote.is_alive():
                self._zygote.close()
                self._zygote = None
            if self._zygote is None:
                self._zygote = Zygote()
            return self._zygote

    def close(self) -> None:
        with self._lock:
            if self._zygote is not None:
                self._zygote.close()
            self._zygote = None

    def start_over(self) -> None:
        """In a process just forked: the lock may be held by a thread that is not here."""
        if self._zygote is not None:
            self._zygote.disown()
        self._lock, self._zygote = threading.Lock(), None


_KEEPER: Final = _Keeper()
atexit.register(_KEEPER.close)
os.register_at_fork(after_in_child=_KEEPER.start_over)


def zygote() -> Zygote:
    """The zygote of this process, which lives as long as the process does."""
    return _KEEPER.get()

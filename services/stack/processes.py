"""Processes: started with a log, known by pid and time of their start, and ended for certain."""

import ctypes
import os
import select
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LIBC: Final = ctypes.CDLL(None)
_PR_SET_PDEATHSIG: Final = 1


@dataclass
class Process:
    """A process that others may find again; `started` tells it from a later owner of its pid."""

    pid: int = 0
    started: int = 0

    @classmethod
    def of(cls, pid: int) -> "Process":
        """The process that has this pid now; one that has ended is never alive."""
        return cls(pid, _started(pid))

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.started > 0 and _started(self.pid) == self.started

    def end(self, grace_s: float) -> None:
        """End it, SIGTERM first where there is a grace, and wait until it is gone."""
        if self.alive:
            with suppress(ProcessLookupError):
                self._stop(grace_s)

    def _stop(self, grace_s: float) -> None:
        """SIGTERM, SIGKILL after the grace, and its end awaited; another of its pid is never hit.

        Raises:
            ProcessLookupError: the process has ended already.
        """
        handle = os.pidfd_open(self.pid)
        try:
            if not self.alive:
                return
            if grace_s:
                signal.pidfd_send_signal(handle, signal.SIGTERM)
                select.select([handle], [], [], grace_s)
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            select.select([handle], [], [])
        finally:
            os.close(handle)


def spawn(
    command: Sequence[str], log: Path, environment: Mapping[str, str], *, tied: bool = False
) -> "subprocess.Popen[bytes]":
    """Start a process in the folder of its log, which it adds to.

    Args:
        command: program and arguments.
        log: file that takes its output.
        environment: all of it.
        tied: whether the kernel kills it when this process ends in any way. Linux.
    """
    with log.open("ab") as file:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            cwd=log.parent,
            env=dict(environment),
            start_new_session=True,  # an interrupt at the terminal is not for it
            preexec_fn=_tie(os.getpid()) if tied else None,
        )


def _tie(parent: int) -> Callable[[], None]:
    def die_with_parent() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it has ended in between
            os._exit(1)

    return die_with_parent


def last_lines(log: Path, count: int) -> str:
    """The end of a log; nothing where there is none."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-count:])
    except FileNotFoundError:
        return ""


def _started(pid: int) -> int:
    """When the process began, in clock ticks since the boot; 0 for one that has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    state, *numbers = text.rpartition(")")[2].split()  # proc(5): fields 3 and up
    return 0 if state in "ZX" else int(numbers[18])

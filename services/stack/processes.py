"""Processes: servers that a folder keeps, with ports, logs and pids, for others to find again."""

import fcntl
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from schemas.errors import SetupError
from services.stack.ports import HOST, Ports

START_S: Final = 60.0
_POLL_S: Final = 0.1
_LOG_LINES: Final = 12


@dataclass
class Process:
    """One server in `servers.json`; `started` tells it from a later owner of the same pid."""

    ports: list[int] = field(default_factory=list)
    storage: str = ""
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    pid: int = 0
    started: int = 0

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.pid > 0 and _started(self.pid) == self.started


class Processes:
    """The processes of one folder. Ports are chosen once and kept over restarts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.ports = Ports()
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    @contextmanager
    def state(self) -> Iterator[dict[str, Process]]:
        """What `servers.json` says, under a lock, written back at the end, whatever happens."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "servers.json"
        with (self.folder / "servers.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            known = json.loads(path.read_text()) if path.exists() else {}
            state = {name: Process(**value) for name, value in known.items()}
            try:
                yield state
            finally:
                write_private(path, {name: asdict(value) for name, value in state.items()})

    def launch(
        self, name: str, process: Process, command: Sequence[str], env: Mapping[str, str]
    ) -> None:
        """Start a process with its log in the folder.

        Raises:
            SetupError: `server_failed`, if one of its ports is taken.
        """
        if taken := self.ports.taken(process.ports):
            known = self.folder / "servers.json"
            message = f"{name}: port {taken[0]} of {HOST} is in use; free it, or remove {known}"
            raise SetupError("server_failed", message)
        with (self.folder / f"{name}.log").open("ab") as log:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=dict(env),
                start_new_session=True,  # an interrupt at the terminal is not for it
            )
        self._children[child.pid] = child
        process.pid, process.started = child.pid, _started(child.pid)

    def wait(
        self, name: str, process: Process, answers: Callable[[], bool], within_s: float = START_S
    ) -> None:
        """Wait until a process answers.

        Raises:
            SetupError: `server_failed`, with the end of its log; it is ended then.
        """
        deadline = time.monotonic() + within_s
        while not answers():
            if process.alive and time.monotonic() < deadline:
                time.sleep(_POLL_S)
                continue
            state = "does not answer" if process.alive else "ended at its start"
            self.end(process, grace_s=0)
            log = self.folder / f"{name}.log"
            last = "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
            where = f" on {HOST}:{process.ports[0]}" if process.ports else ""
            message = f"{name}{where} {state}; see {log}:\n{last}"
            raise SetupError("server_failed", message)

    def end(self, process: Process, grace_s: float) -> None:
        """End a process, SIGTERM first where there is a grace, and wait until it is gone."""
        if process.pid:
            with suppress(ProcessLookupError):
                _stop(process, grace_s)
            if child := self._children.pop(process.pid, None):
                child.wait()
        process.pid = process.started = 0

    def close(self) -> None:
        """Let go of the ports."""
        for child in self._children.values():  # ended by another object of this folder
            child.poll()
        self.ports.close()


def _started(pid: int) -> int:
    """When the process began, in clock ticks since the boot; 0 for one that has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    state, *numbers = text.rpartition(")")[2].split()  # proc(5): fields 3 and up
    return 0 if state in "ZX" else int(numbers[18])


def _stop(process: Process, grace_s: float) -> None:
    """SIGTERM, SIGKILL after the grace, and its end awaited; another with its pid is never hit.

    Raises:
        ProcessLookupError: the process has ended already.
    """
    handle = os.pidfd_open(process.pid)
    try:
        if not process.alive:
            return
        if grace_s:
            signal.pidfd_send_signal(handle, signal.SIGTERM)
            select.select([handle], [], [], grace_s)
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        select.select([handle], [], [])
    finally:
        os.close(handle)


def write_private(path: Path, content: object) -> None:
    """JSON that only its owner can read, whole or not at all."""
    new = path.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text(json.dumps(content, indent=1))
    new.replace(path)

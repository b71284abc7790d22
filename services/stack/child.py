"""Child: one process that is started again when it ends, with growing pauses and a limit."""

import subprocess
import time
from collections import deque
from pathlib import Path
from typing import Final

from services.stack.processes import Process, last_lines, spawn
from services.stack.program import Program
from services.stack.registry import Member

RESTARTS: Final = 5
WITHIN_S: Final = 600.0
"""After so many restarts within so many seconds a process is given up."""
_FIRST_PAUSE_S: Final = 0.5


class Child:
    """A process of the supervisor. `member` is what others see of it."""

    def __init__(self, program: Program, folder: Path) -> None:
        """Nothing is started yet.

        Args:
            program: to run.
            folder: where its log is.
        """
        self.member = Member(title=program.title)
        self._program = program
        self._log = folder / f"{program.name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._restarts: deque[float] = deque()
        self._log_start = 0  # of what this process says
        self._next_at = 0.0  # the next start, or the time by which it has to answer

    def tick(self, now: float, *, ready: bool) -> None:
        """Look at it once, and do what is due.

        Args:
            now: seconds of a clock that never goes back.
            ready: whether those that it needs answer.
        """
        if self.member.state == "failed":
            return
        if self._process is None:
            if ready and now >= self._next_at:
                self._launch(now)
        elif self._process.poll() is not None:
            self._ended(now)
        elif self.member.state == "starting":
            if self._works():
                self.member.state = "running"
            elif now >= self._next_at:
                self.end(0)
                self._ended(now)

    def terminate(self) -> None:
        """Ask it to end."""
        if self._process is not None:
            self._process.terminate()

    def end(self, within_s: float) -> None:
        """Wait for its end, and kill it where that takes longer."""
        if self._process is not None:
            try:
                self._process.wait(within_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._program.tidy()

    @property
    def grace_s(self) -> float:
        """Seconds that it may take to end."""
        return self._program.grace_s

    def _works(self) -> bool:
        with self._log.open("rb") as log:
            log.seek(self._log_start)
            said = log.read()
        return self._program.says.encode() in said and self._program.answers()

    def _launch(self, now: float) -> None:
        self._program.tidy()  # what an earlier one left that was killed
        self._log_start = self._log.stat().st_size if self._log.exists() else 0
        self._process = spawn(
            self._program.command, self._log, self._program.environment, tied=True
        )
        found = Process.of(self._process.pid)
        self.member.pid, self.member.started = found.pid, found.started
        self.member.state, self.member.since = "starting", time.time()
        self._next_at = now + self._program.within_s

    def _ended(self, now: float) -> None:
        """Start it again after a pause, unless that has happened too often."""
        self._process = None
        self.member.pid = self.member.started = 0
        self.member.said = last_lines(self._log, 1)
        while self._restarts and now - self._restarts[0] > WITHIN_S:
            self._restarts.popleft()
        if len(self._restarts) >= RESTARTS:
            self.member.state = "failed"
            return
        self._next_at = now + _FIRST_PAUSE_S * 2 ** len(self._restarts)
        self._restarts.append(now)
        self.member.restarts += 1
        self.member.state = "restarting"

"""Members: the processes of a soak that are ours, started, killed, stopped and drained."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.conftest import ROOT

_LOG_LINES = 15


class Member:
    """A worker or a graph: one process at a time, its log behind those of the ones before."""

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self.temporary = folder / f"{name}.tmp"
        self.temporary.mkdir()
        self._command = [sys.executable, "-m", *command]
        kept = {k: v for k, v in os.environ.items() if not k.startswith("REELPAGE_")}
        self._environment = kept | dict(environment) | {"TMPDIR": str(self.temporary)}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """SIGKILL, which ends a stopped process too, and wait for its end."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def send(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def drain(self, within_s: float) -> str:
        """SIGTERM; what is wrong with its end, or nothing."""
        if self._process is None:
            return ""
        began = time.monotonic()
        self._process.terminate()
        try:
            code = self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return f"{self.name} was there {within_s:.0f} s after SIGTERM"
        took = time.monotonic() - began
        self._process = None
        # it may have been told before it could hear
        return "" if code in (0, -signal.SIGTERM) else self._said(f"status {code}, {took:.1f} s")

    def gone(self) -> str:
        """Why it has ended by itself, or nothing."""
        if self._process is None or self._process.poll() is None:
            return ""
        code, self._process = self._process.returncode, None
        return self._said(f"ended by itself with status {code}")

    def said(self, words: str) -> list[str]:
        """What follows on these words in the log, in the order in which it was said."""
        lines = self.log.read_text(errors="replace").splitlines(keepends=True)
        return [
            one.partition(words)[2].strip() for one in lines if words in one and one[-1] == "\n"
        ]

    def _said(self, what: str) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
        return "\n    ".join([f"{self.name}: {what}", *lines])

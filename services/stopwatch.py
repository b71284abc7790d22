"""Stopwatch: for how long at least one thread has been at something."""

import threading
import time
from types import TracebackType


class Stopwatch:
    """Runs while one thread or more are in its block; two of them count once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._since = self._spent = 0.0

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._since = time.monotonic()
            self._inside += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._spent += time.monotonic() - self._since

    @property
    def seconds(self) -> float:
        """So far."""
        with self._lock:
            return self._spent + (time.monotonic() - self._since if self._inside else 0.0)

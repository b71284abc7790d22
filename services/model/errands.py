"""Errands: what one thread does, which lives while there is something to do."""

import threading
from collections.abc import Callable


class Errands:
    """A thread that is there when it is needed; nothing keeps it, or what it works with, alive."""

    def __init__(self, step: Callable[[], bool], name: str) -> None:
        """No thread runs.

        Args:
            step: does something; says whether there was anything to do. It never raises.
            name: of the thread.
        """
        self._step, self._name = step, name
        self._lock = threading.Lock()
        self._running = self._woken = False

    def wake(self) -> None:
        """Say that there is something to do."""
        with self._lock:
            self._woken = True
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name=self._name, daemon=True).start()

    def _run(self) -> None:
        while self._goes_on():
            while self._step():
                pass

    def _goes_on(self) -> bool:
        with self._lock:
            self._running, self._woken = self._woken, False
            return self._running

"""Clock: what happens when, in simulated seconds."""

import heapq
from collections.abc import Callable
from itertools import count


class Clock:
    """Events in their order; what is set for one moment happens in the order it was set."""

    def __init__(self) -> None:
        """It is second 0, and nothing is to happen."""
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[..., object], tuple[object, ...]]] = []
        self._numbers = count()

    def after(self, seconds: float, act: Callable[..., object], *given: object) -> None:
        """Have something happen in so many seconds."""
        heapq.heappush(self._events, (self.now + seconds, next(self._numbers), act, given))

    def every(self, seconds: float, act: Callable[[], object]) -> None:
        """Have something happen again and again, first in so many seconds."""

        def again() -> None:
            act()
            self.after(seconds, again)

        self.after(seconds, again)

    def run(self, ended: Callable[[], bool], limit_s: float) -> None:
        """Let things happen until an end is reached.

        Raises:
            RuntimeError: there was none within so many seconds.
        """
        while not ended():
            self.now, _, act, given = heapq.heappop(self._events)
            if self.now > limit_s:
                message = f"no end within {limit_s:g} seconds"
                raise RuntimeError(message)
            act(*given)

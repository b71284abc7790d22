"""Flow: work for a model that admits by itself, and that is asked all at once.

The way of `Batches` is for a model that takes one batch after the other.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from math import inf
from typing import Final, Generic, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")

_THREADS: Final = (
    256  # as many as Serve lets into a replica; they wait, or do the work for all by turns
)


class Flow(Generic[In, Out]):
    """No queue: what comes is in work. To be used from one event loop."""

    def __init__(
        self,
        work: Callable[[In], Out],
        cost: Callable[[In], int],
        check: Callable[[], None],
        stuck_s: float = inf,
    ) -> None:
        """Nothing runs yet.

        Args:
            work: what waits for the result of an item, in a thread of its own.
            cost: of one item, tokens.
            check: raises RuntimeError if the model should be replaced.
            stuck_s: so should it if nothing of what is in work has ended for so long.
        """
        self._work, self._cost, self._check, self._stuck_s = work, cost, check, stuck_s
        self._threads = ThreadPoolExecutor(_THREADS, "asked")
        self._ended_at = 0.0
        self.waiting = 0
        """Cost of all that is in work, tokens."""

    async def submit(self, item: In) -> Out:
        """The result of one item.

        Raises:
            Exception: what `work` raises for it.
        """
        cost = self._cost(item)
        if not self.waiting:
            self._ended_at = time.monotonic()
        self.waiting += cost
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, self._work, item)
        finally:
            self.waiting -= cost
            self._ended_at = time.monotonic()

    def check(self) -> None:
        """Whether what is in work can be expected to end well.

        Raises:
            RuntimeError: the model says so, or nothing has ended for too long.
        """
        self._check()
        if self.waiting and time.monotonic() - self._ended_at > self._stuck_s:
            message = f"nothing of what is in work has ended for more than {self._stuck_s:g} s"
            raise RuntimeError(message)

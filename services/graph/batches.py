"""Batches: work that waits for the one thread of a model, bounded by its cost and not by its count.

Serve's own `@serve.batch` with a `batch_size_fn` puts an item that did not fit behind all others,
refuses one that is larger than a batch, and fails a whole batch for one bad item; here the order
stays, what is larger goes alone, and an item fails alone. What waits is the signal to scale by.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from schemas.errors import ReelpageError

In = TypeVar("In")
Out = TypeVar("Out")

_STUCK_S: Final = 900.0
_BROKEN: Final = 3  # failures in a row after which the model is taken for broken


@dataclass(eq=False)
class _Entry(Generic[In, Out]):
    item: In
    cost: int
    answer: "asyncio.Future[Out]"


class Batches(Generic[In, Out]):
    """A queue before a function that takes many items at once, in a thread of its own.

    To be used from one event loop.
    """

    def __init__(
        self, work: Callable[[list[In]], list[Out]], cost: Callable[[In], int], most: int
    ) -> None:
        """Nothing runs yet.

        Args:
            work: as many results as items, in their order.
            cost: of one item, tokens.
            most: cost of one batch; an item that is larger goes alone.
        """
        self._work, self._cost, self._most = work, cost, most
        self._queue: deque[_Entry[In, Out]] = deque()
        self._thread = ThreadPoolExecutor(1, "model")
        self._runner: asyncio.Task[None] | None = None
        self._since: float | None = None
        self._failures = 0
        self.waiting = 0
        """Cost of all that is queued or running, tokens."""

    async def submit(self, item: In) -> Out:
        """The result of one item; raises what `work` raises for it."""
        entry = _Entry[In, Out](item, self._cost(item), asyncio.get_running_loop().create_future())
        self._queue.append(entry)
        self.waiting += entry.cost
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())
        return await entry.answer

    def check(self) -> None:
        """Whether a batch can be expected to end well.

        Raises:
            RuntimeError: a batch takes for ever, or the last few failed.
        """
        if self._failures >= _BROKEN:
            message = f"the last {self._failures} items failed"
            raise RuntimeError(message)
        if self._since is not None and time.monotonic() - self._since > _STUCK_S:
            message = f"one batch has been running for more than {_STUCK_S:g} s"
            raise RuntimeError(message)

    async def _run(self) -> None:
        while self._queue:
            batch = self._next()
            if await self._attempt(batch) is not None:
                for entry in batch:
                    error = await self._attempt([entry])
                    if error is not None and not entry.answer.done():
                        entry.answer.set_exception(error)
            self.waiting -= sum(entry.cost for entry in batch)

    def _next(self) -> list[_Entry[In, Out]]:
        batch = [self._queue.popleft()]
        room = self._most - batch[0].cost
        while self._queue and self._queue[0].cost <= room:
            batch.append(self._queue.popleft())
            room -= batch[-1].cost
        return batch

    async def _attempt(self, batch: Sequence[_Entry[In, Out]]) -> BaseException | None:
        """Run those that somebody still waits for; the error, if there was one."""
        wanted = [entry for entry in batch if not entry.answer.done()]
        if not wanted:
            return None
        self._since = time.monotonic()
        loop = asyncio.get_running_loop()
        call = loop.run_in_executor(self._thread, self._work, [entry.item for entry in wanted])
        await asyncio.wait([call])
        self._since = None
        if (error := call.exception()) is not None:
            self._failures += not isinstance(error, ReelpageError)
            return error
        self._failures = 0
        for entry, result in zip(wanted, call.result(), strict=True):
            if not entry.answer.done():
                entry.answer.set_result(result)
        return None

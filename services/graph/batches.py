"""Batches: work that waits for the one thread of a model, bounded by its cost and not by its count.

Serve's own `@serve.batch` with a `batch_size_fn` puts an item that did not fit behind all others,
refuses one that is larger than a batch, and fails a whole batch for one bad item; here the order
stays, what is larger goes alone, and an item fails alone. What waits is the signal to scale by.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from schemas.errors import ReelpageError
from services.graph.blame import Blame

log = logging.getLogger(__name__)

In = TypeVar("In")
Out = TypeVar("Out")
T = TypeVar("T")
U = TypeVar("U")

STUCK_S: Final = 900.0
"""Of one batch, or without any answer, after which a model of ours is held to be stuck."""


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
        self,
        work: Callable[[list[In]], list[Out]],
        cost: Callable[[In], int],
        most: int,
        alike: Callable[[In], In],
        broken: Callable[[], None],
    ) -> None:
        """Nothing runs yet.

        Args:
            work: as many results as items, in their order.
            cost: of one item, tokens.
            most: cost of one batch; an item that is larger goes alone.
            alike: an item like another, that no cache of the model knows.
            broken: called when the model can do no more; it should end this process.
        """
        self._work, self._cost, self._most = work, cost, most
        self._blame = Blame[In](lambda item: work([item]), alike, broken)
        self._queue: deque[_Entry[In, Out]] = deque()
        self._thread = ThreadPoolExecutor(1, "model")
        self._runner: asyncio.Task[None] | None = None
        self._since: float | None = None
        self.waiting = 0
        """Cost of all that is queued or running, tokens."""

    async def submit(self, item: In) -> Out:
        """The result of one item.

        Raises:
            InputError: `too_large` or `model_failed`: the model fails on it, and on it alone.
            Exception: what else `work` raises for it.
        """
        entry = _Entry[In, Out](item, self._cost(item), asyncio.get_running_loop().create_future())
        self._queue.append(entry)
        self.waiting += entry.cost
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())
        return await entry.answer

    def check(self) -> None:
        """Whether a batch can be expected to end well.

        Raises:
            RuntimeError: a batch takes for ever, or all items so far have failed.
        """
        self._blame.check()
        if self._since is not None and time.monotonic() - self._since > STUCK_S:
            message = f"one batch has been running for more than {STUCK_S:g} s"
            raise RuntimeError(message)

    async def _run(self) -> None:
        while self._queue:
            batch = self._next()
            error = await self._attempt(batch)
            if error is not None and len(batch) == 1:
                await self._fail(batch[0], error)
            elif error is not None:
                for entry in batch:
                    if (error := await self._attempt([entry])) is not None:
                        await self._fail(entry, error)
            self.waiting -= sum(entry.cost for entry in batch)

    async def _fail(self, entry: _Entry[In, Out], error: Exception) -> None:
        """End an item that failed alone, by its own fault or by the model's."""
        if not isinstance(error, ReelpageError):
            error = await self._in_thread(self._blame.of, error)
        if not entry.answer.done():
            entry.answer.set_exception(error)

    def _next(self) -> list[_Entry[In, Out]]:
        batch = [self._queue.popleft()]
        room = self._most - batch[0].cost
        while self._queue and self._queue[0].cost <= room:
            batch.append(self._queue.popleft())
            room -= batch[-1].cost
        return batch

    async def _attempt(self, batch: Sequence[_Entry[In, Out]]) -> Exception | None:
        """Run those that somebody still waits for; the error, if there was one."""
        wanted = [entry for entry in batch if not entry.answer.done()]
        if not wanted:
            return None
        results = await self._in_thread(self._do, [entry.item for entry in wanted])
        if isinstance(results, Exception):
            return results
        for entry, result in zip(wanted, results, strict=True):
            if not entry.answer.done():
                entry.answer.set_result(result)
            self._blame.good(entry.item, entry.cost)
        return None

    async def _in_thread(self, do: Callable[[T], U], given: T) -> U:
        """What is returned in the model's thread."""
        self._since = time.monotonic()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, do, given)
        finally:
            self._since = None

    def _do(self, items: list[In]) -> list[Out] | Exception:
        try:
            results = self._work(items)
        except ReelpageError as error:
            return error
        except Exception as error:
            log.warning("%d items failed together", len(items), exc_info=error)
            # What is kept of it must not hold the tensors of its frames: memory may be short.
            error.__context__ = None
            return error.with_traceback(None)
        if len(results) == len(items):
            return results
        return RuntimeError(f"{len(results)} results for {len(items)} items")

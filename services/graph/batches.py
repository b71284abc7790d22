"""Batches: work that waits for the one thread of a model, bounded by its cost and not by its count.

Serve's own `@serve.batch` with a `batch_size_fn` puts an item that did not fit behind all others,
refuses one that is larger than a batch, and fails a whole batch for one bad item; here the order
stays, what is larger goes alone, and an item fails alone. What waits is the signal to scale by.

An item that fails alone is to blame if one like another that went well before goes well. If that
one fails too, the model is broken, and its process ends at once: another one takes its place.
"""

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from schemas.errors import InputError, ReelpageError

log = logging.getLogger(__name__)

In = TypeVar("In")
Out = TypeVar("Out")

_STUCK_S: Final = 900.0
_BROKEN: Final = 3  # failures of a model that has never done anything


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
        self._alike, self._broken = alike, broken
        self._queue: deque[_Entry[In, Out]] = deque()
        self._thread = ThreadPoolExecutor(1, "model")
        self._runner: asyncio.Task[None] | None = None
        self._since: float | None = None
        self._failures = 0
        self._good: _Entry[In, Out] | None = None  # the cheapest that went well
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
        if self._good is None and self._failures >= _BROKEN:
            message = f"all of the {self._failures} items so far failed"
            raise RuntimeError(message)
        if self._since is not None and time.monotonic() - self._since > _STUCK_S:
            message = f"one batch has been running for more than {_STUCK_S:g} s"
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
        ours = isinstance(error, ReelpageError)
        self._failures += not ours
        if not ours and self._good is not None:
            if isinstance(await self._call([self._alike(self._good.item)]), Exception):
                log.error("the model is broken: it fails on what it could do before")
                self._broken()
            else:
                error = _blamed(error)
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
        results = await self._call([entry.item for entry in wanted])
        if isinstance(results, Exception):
            return results
        for entry, result in zip(wanted, results, strict=True):
            if not entry.answer.done():
                entry.answer.set_result(result)
        known = [self._good] if self._good else []
        self._good = min([*known, *wanted], key=lambda entry: entry.cost)
        return None

    async def _call(self, items: list[In]) -> list[Out] | Exception:
        """Results, or the error, in the model's thread."""
        self._since = time.monotonic()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, self._do, items)
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


def end_process() -> None:
    """End the process of a broken model; Serve starts another one."""
    os._exit(1)


def _blamed(error: Exception) -> InputError:
    """The error as that of the item that it is due to."""
    words = " ".join(f"{type(error).__name__}: {error}".split())
    memory = isinstance(error, MemoryError) or "out of memory" in words
    message = f"the model fails on this picture or prompt alone ({words:.200}); leave it out"
    return InputError("too_large" if memory else "model_failed", message)

"""Decoder: rows that wait, rows that run, and who does the work for them.

Rows are admitted in the order of their priority, then of their arrival, as soon as the cache has
room for them; none is overtaken by a smaller one. No thread of its own runs: of the threads that
wait for a token one does the work, for all rows, while the others sleep.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from heapq import heappop, heappush
from itertools import count
from typing import Final

from pipeline.vlm.cache import MOST_CELLS
from pipeline.vlm.checkpoint import Language
from pipeline.vlm.language import Batch
from pipeline.vlm.row import Row

log = logging.getLogger(__name__)

_BATCH_ROWS: Final = 64


class Decoder:
    """Answers rows, token by token; for any number of threads.

    Attributes:
        seconds: for how long it has computed.
    """

    def __init__(self, language: Language) -> None:
        self._batch = Batch(language)
        self._waiting: list[tuple[int, int, Row]] = []
        self._arrivals = count()
        self._changed = threading.Condition()
        self._working = False
        self._pausing = 0
        self.seconds = 0.0

    def submit(self, row: Row, priority: int) -> None:
        """Let a row wait for its turn; the lowest priority comes first."""
        with self._changed:
            heappush(self._waiting, (priority, next(self._arrivals), row))

    def cancel(self, row: Row) -> None:
        """End a row, if it has not ended."""
        with self._changed:
            if row.finished_at:
                return
            row.cancelled, row.finished_at = True, time.perf_counter()
            if not self._working:
                self._sweep()
            self._changed.notify_all()

    def decode(self, until: Callable[[], bool]) -> None:
        """Decode until something is so that rows of this decoder bring about."""
        with self._changed:
            while not until():
                if self._working or self._pausing:
                    self._changed.wait()
                else:
                    self._work()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Have no row go on while the block runs: whoever computes in it has the device alone."""
        with self._changed:
            self._pausing += 1
            try:
                self._changed.wait_for(lambda: not self._working)
            finally:
                self._pausing -= 1
            self._working = True
        try:
            yield
        finally:
            with self._changed:
                self._working = False
                self._sweep()
                self._changed.notify_all()

    def _work(self) -> None:
        """One step, for which the lock is let go."""
        self._working, started = True, time.perf_counter()
        try:
            joining = self._admit()
            self._changed.release()
            try:
                self._step(joining)
            finally:
                self._changed.acquire()
        finally:
            self._working = False
            self.seconds += time.perf_counter() - started
            self._sweep()
            self._changed.notify_all()

    def _step(self, joining: list[Row]) -> None:
        """A token for each row; if the model fails, all that were in it fail."""
        try:
            self._batch.step(joining)
            ended = [row for row in self._batch.rows if row.error or row.ended(row)]
        except BaseException as error:
            ended = self._batch.rows
            log.info("a step of %d rows failed", len(ended), exc_info=error)
            # What is kept of it must not hold the tensors of the step: memory may be short.
            error.__context__ = None
            error = error.with_traceback(None)
            for row in ended:
                # An interrupt is for the thread that works; others have lost their rows.
                row.error = error if isinstance(error, Exception) else CancelledError()
            self._batch.clear()
            if not isinstance(error, Exception):
                raise
        finally:
            for row in ended:
                row.finished_at = row.finished_at or time.perf_counter()

    def _sweep(self) -> None:
        """Free the cells of rows that have ended, and the whole cache when there is no work."""
        for row in [row for row in self._batch.rows if row.finished_at]:
            self._batch.leave(row)
        if not self._batch.rows and all(row.finished_at for *_, row in self._waiting):
            self._batch.clear()
            self._waiting.clear()

    def _admit(self) -> list[Row]:
        """Take those that have room from the queue; what is too large for it goes alone."""
        joining: list[Row] = []
        while self._waiting:
            *_, row = self._waiting[0]
            running = [*self._batch.rows, *joining]
            if running and not row.finished_at and not _fits([*running, row]):
                break
            heappop(self._waiting)
            joining += [] if row.finished_at else [row]
        return joining


def _fits(rows: Sequence[Row]) -> bool:
    """Whether rows have room in the cache at their longest; all get as many cells of their own."""
    shared = sum(map(len, {row.prefix for row in rows}))
    own = len(rows) * max(row.most_cells for row in rows)
    return len(rows) <= _BATCH_ROWS and shared + own <= MOST_CELLS

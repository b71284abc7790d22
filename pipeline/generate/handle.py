"""Handle: one answer that is being given."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from itertools import count
from math import inf
from typing import Any, Protocol

from pipeline.generate.answers import Generation


class Running(Protocol):
    """An answer that is being given.

    Attributes:
        tokens: generated so far.
        finished_at: `time.perf_counter()` at the end, else 0.
        cancelled: whether it was ended from outside.
        error: what the model failed with.
    """

    tokens: list[int]
    finished_at: float
    cancelled: bool
    error: BaseException | None


class Source(Protocol):
    """What answers come from."""

    def decode(self, until: Callable[[], bool]) -> None:
        """Wait until something is so that its answers bring about."""

    def cancel(self, row: Any) -> None:  # noqa: ANN401 - one of its own
        """End an answer, if it has not ended."""


class Handle:
    """An answer, token by token or as a whole.

    It goes on while somebody waits for it, or for another one of the same generator.
    """

    def __init__(self, source: Source, row: Running, read: Callable[[float], Generation]) -> None:
        """Follow a row of a source; `read` makes an answer of it, which took so many seconds."""
        self._source, self._row, self._read = source, row, read
        self._started = time.perf_counter()

    def __iter__(self) -> Iterator[int]:
        """Tokens as they are generated, the end token included, until the answer ends.

        Raises:
            Exception: what the model fails with.
        """
        for given in count():
            self._wait(given)
            if given == len(self._row.tokens):
                return
            yield self._row.tokens[given]

    def result(self) -> Generation:
        """The whole answer.

        Raises:
            CancelledError: it was cancelled before it ended.
            Exception: what the model fails with.
        """
        self._wait()
        if self._row.cancelled:
            raise CancelledError
        return self._read(self._row.finished_at - self._started)

    def cancel(self) -> None:
        """End the answer where it is, and free its part of the cache; nothing if it has ended."""
        self._source.cancel(self._row)

    def _wait(self, tokens: float = inf) -> None:
        """Until there are more than so many tokens, or no more will come."""
        row = self._row
        self._source.decode(lambda: bool(row.finished_at) or len(row.tokens) > tokens)
        if row.error is not None:
            raise row.error

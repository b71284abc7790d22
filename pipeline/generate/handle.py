"""Handle: one answer that is being given."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from itertools import count
from math import inf

from pipeline.generate.answers import Generation
from pipeline.vlm.decoder import Decoder
from pipeline.vlm.row import Row


class Handle:
    """An answer, token by token or as a whole.

    It goes on while somebody waits for it, or for another one of the same generator.
    """

    def __init__(
        self, decoder: Decoder, row: Row, read: Callable[[Row, float], Generation]
    ) -> None:
        """Follow a row; `read` makes an answer of one that took so many seconds."""
        self._decoder, self._row, self._read = decoder, row, read
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
        return self._read(self._row, self._row.finished_at - self._started)

    def cancel(self) -> None:
        """End the answer where it is, and free its part of the cache; nothing if it has ended."""
        self._decoder.cancel(self._row)

    def _wait(self, tokens: float = inf) -> None:
        """Until there are more than so many tokens, or no more will come."""
        row = self._row
        self._decoder.decode(lambda: bool(row.finished_at) or len(row.tokens) > tokens)
        if row.error is not None:
            raise row.error

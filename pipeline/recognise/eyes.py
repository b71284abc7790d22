"""Eyes: a recogniser's look at many pictures, several at a time."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.recognise.order import Box

Picture = NDArray[np.uint8]
Pixels = Callable[[bytes], Picture]
Seen = list[tuple[tuple[float, float, float, float], str, float]]
"""Of each line x0, y0, x1, y1 as shares of the picture's width and height, text and confidence."""
Key = TypeVar("Key")


class Read(NamedTuple):
    """A line that a recogniser has found in a picture; without text if it cannot read it."""

    box: Box
    text: str
    confidence: float


class TextReader(Protocol):
    """Reads lines in pictures, from several threads: `Recogniser`, or what stands for it in tests.

    Attributes:
        width: pictures that it reads at a time.
    """

    width: int

    def read(self, picture: Picture) -> list[Read]:
        """Lines of a picture `uint8 (height, width, 3)`, in reading order."""


class Eyes:
    """Reads pictures, and counts those on which most could not be read."""

    def __init__(self, pixels: Pixels, reader: TextReader) -> None:
        self.pixels, self._reader = pixels, reader
        self._lock = threading.Lock()
        self.unread = 0

    def read(self, pictures: Iterable[tuple[Key, Picture | None]]) -> Iterator[tuple[Key, Seen]]:
        """Lines with text in each picture, in order; there are none in no picture.

        No more pictures are taken ahead than are read at a time.

        Raises:
            InputError, SetupError: what the reader raises.
        """
        ahead: deque[tuple[Key, Future[Seen]]] = deque()
        with ThreadPoolExecutor(self._reader.width) as pool:
            for key, picture in pictures:
                ahead.append((key, pool.submit(self._seen, picture)))
                if len(ahead) == self._reader.width:
                    first, future = ahead.popleft()
                    yield first, future.result()
            for first, future in ahead:
                yield first, future.result()

    def _seen(self, picture: Picture | None) -> Seen:
        if picture is None:
            return []
        found = self._reader.read(picture)
        lines = [line for line in found if line.text]
        if len(found) > 2 * len(lines):
            with self._lock:
                self.unread += 1
        height, width = picture.shape[:2]
        return [
            ((x0 / width, y0 / height, x1 / width, y1 / height), text, score)
            for (x0, y0, x1, y1), text, score in lines
        ]

"""Sparse: a large object as a file of which only what is read is fetched."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from schemas.errors import TransientError
from services.storage.ranged import ReadPart

BLOCK: Final = 1 << 20
_MOST_AHEAD: Final = 4
"""Blocks that are fetched at once, at the most: as many more as have been read in a row."""


class SparseFile:
    """A file of an object's size, with holes; for one reader."""

    def __init__(self, path: Path, size: int, read: ReadPart) -> None:
        """Make the file, which takes no room yet.

        Args:
            path: where.
            size: of the object, bytes.
            read: bytes of the object from an offset on, so many.

        Raises:
            TransientError: `disk_full`, if it cannot be made at the moment.
        """
        with room(path), path.open("wb") as file:
            file.truncate(size)
        self.path, self.size, self._read = path, size, read
        self._there = bytearray(-(-size // BLOCK))
        self._next, self._ahead = -1, 1

    def fill(self, start: int, stop: int) -> tuple[int, int]:
        """Fetch what is missing of `[start, stop)`, and further what follows if that is read too.

        Returns:
            The first byte around it that is there, and the one behind the last.

        Raises:
            ValueError: there are no such bytes.
            TransientError: `disk_full`, if there is no room for them at the moment.
        """
        if not 0 <= start < stop <= self.size:
            message = f"bytes {start} to {stop} of {self.size}"
            raise ValueError(message)
        first, last = start // BLOCK, -(-stop // BLOCK)
        missing = self._there.find(0, first, last)
        if missing >= 0:
            self._ahead = min(2 * self._ahead, _MOST_AHEAD) if missing == self._next else 1
            last = min(max(last, missing + self._ahead), len(self._there))
            self._fetch(missing, self._there.rindex(0, missing, last) + 1)
            self._next = last
        return first * BLOCK, min(last * BLOCK, self.size)

    def _fetch(self, first: int, last: int) -> None:
        """Fetch blocks by one request, whether or not some are there."""
        data = self._read(first * BLOCK, min(last * BLOCK, self.size) - first * BLOCK)
        if len(data) != min(last * BLOCK, self.size) - first * BLOCK:
            message = f"{self.path.name}: {len(data)} bytes came, and others were asked for"
            raise TransientError("store_failed", message)
        with room(self.path), self.path.open("r+b") as file:
            file.seek(first * BLOCK)
            file.write(data)
        self._there[first:last] = bytes([1]) * (last - first)


@contextmanager
def room(path: Path) -> Iterator[None]:
    """Writing a file, for which there may be no room at the moment.

    Raises:
        TransientError: `disk_full`.
    """
    try:
        yield
    except OSError as error:
        message = f"{path.parent}: cannot be written to ({error})"
        raise TransientError("disk_full", message) from error

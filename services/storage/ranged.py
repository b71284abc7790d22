"""Ranged: an object of a store as a file that is read where it is looked at."""

import io
from collections.abc import Callable
from typing import Final

_BLOCK: Final = 1 << 17
"""Bytes of a request: the header of a member is found with one, however far the next one is."""

ReadPart = Callable[[int, int], bytes]
"""Bytes of an object from an offset on, so many."""


class Ranged(io.RawIOBase):
    """The file, unbuffered; see `ranged`."""

    def __init__(self, read: ReadPart, size: int) -> None:
        self._read, self._size, self._at = read, size, 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; nothing is asked for."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read what the buffer takes."""
        wanted = min(len(buffer), self._size - self._at)
        if wanted <= 0:
            return 0
        data = self._read(self._at, wanted)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def ranged(read: ReadPart, size: int) -> io.BufferedReader:
    """An object of a size as a file."""
    return io.BufferedReader(Ranged(read, size), _BLOCK)

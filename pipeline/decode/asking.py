"""Asking: a medium of which only a part is there, as the child reads it; it asks for the rest.

The child reaches nothing. It says on the pipe of messages which bytes it is about to read, its
parent writes them into the file, and answers on a pipe of their own which ones are there now.
"""

import io
import os
import struct
from collections.abc import Callable
from typing import BinaryIO, Final, cast

ANSWER: Final = struct.Struct("<qq")
"""First byte that is there, and the one behind the last."""
_BUFFER: Final = 1 << 16

Fill = Callable[[int, int], tuple[int, int]]
"""Has bytes of a file come, from an offset up to another; which ones are there then."""


def asking(descriptor: int, fill: Fill) -> BinaryIO:
    """A file whose bytes come when they are read.

    Args:
        descriptor: of a file of the medium's whole size.
        fill: has them come.
    """
    return cast(BinaryIO, io.BufferedReader(_Asking(descriptor, fill), _BUFFER))


class _Asking(io.RawIOBase):
    def __init__(self, descriptor: int, fill: Fill) -> None:
        self._descriptor, self._fill = descriptor, fill
        self._size, self._at = os.fstat(descriptor).st_size, 0
        self._there = (0, 0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            message = f"there is nothing before the first byte: {start + offset}"
            raise ValueError(message)
        self._at = start + offset
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        stop = min(self._at + len(buffer), self._size)
        if stop <= self._at:
            return 0
        first, last = self._there
        if not (first <= self._at and stop <= last):
            self._there = self._fill(self._at, stop)
        data = os.pread(self._descriptor, stop - self._at, self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

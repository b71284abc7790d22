"""Joined: FLV recordings put behind each other, as one file without the headers in its midst.

The demuxer ends at a header; the tags behind it follow each other as if they were of one recording
whose clock begins anew, which `clock` knows of.
"""

import os
from bisect import bisect_right
from collections.abc import Iterator
from io import BufferedReader, RawIOBase
from typing import Any, BinaryIO, Final

from pipeline.decode.sniff import VIDEOS

FLV: Final = VIDEOS[2]
HEADER: Final = 13
"""Bytes of a header, and of the size of the tag before the first."""
TAG: Final = 11
_VIDEO, _SOUND, _FACTS = 9, 8, 18
_EXTENDED: Final = 0x80  # the codec stands in four letters behind


def as_one(file: BinaryIO) -> BinaryIO:
    """The file, or where it joins recordings of one codec, all of them as one."""
    file.seek(0)
    if file.read(len(FLV)) != FLV:
        return file
    begins, codecs = [0], set[bytes]()
    for at, head in tags(file):
        if head.startswith(FLV):
            begins.append(at)
        elif head[0] & 0x1F == _VIDEO and len(head) > TAG:
            codecs.add(_codec(head[TAG:]))
    if len(begins) < 2 or len(codecs) > 1:
        return file
    return BufferedReader(_Joined(file, begins))


def tags(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Where each tag is, and further headers, with how it begins (Adobe, FLV 10.1, annex E).

    Ends where there is anything else.
    """
    at = HEADER
    while True:
        file.seek(at)
        head = file.read(TAG + 5)
        if len(head) >= TAG and head.startswith(FLV):
            yield at, head
            at += HEADER
        elif len(head) >= TAG and head[0] & 0x1F in (_VIDEO, _SOUND, _FACTS):
            yield at, head
            at += TAG + int.from_bytes(head[1:4], "big") + 4
        else:
            return


def _codec(body: bytes) -> bytes:
    return body[1:5] if body[0] & _EXTENDED else bytes([body[0] & 0x0F])


class _Joined(RawIOBase):
    """A file without the headers of its recordings, but the first."""

    def __init__(self, file: BinaryIO, begins: list[int]) -> None:
        self._file, self._at = file, 0
        # Where each begins, as it is shown: behind as many hidden headers as its number.
        self._shown = [begin - HEADER * number for number, begin in enumerate(begins)]
        self._length = file.seek(0, os.SEEK_END) - HEADER * (len(begins) - 1)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - Python 3.12 brings a name for it
        view = memoryview(buffer)
        hidden = bisect_right(self._shown, self._at) - 1
        ends = [*self._shown[1:], self._length][hidden]
        size = max(0, min(len(view), ends - self._at))
        self._file.seek(self._at + HEADER * hidden)
        data = self._file.read(size)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

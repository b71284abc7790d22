"""Directories: a few tags of each picture of a TIFF, without any of its values being decoded.

Pillow reads all tags of a picture to find the next one, and opens no file whose first is raw. A
directory (TIFF 6.0, page 14; BigTIFF has wider numbers) names the place of the next.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

NEW_SUBFILE_TYPE: Final = 254
SUBFILE_TYPE: Final = 255
PHOTOMETRIC: Final = 262
SUB_DIRECTORIES: Final = 330
DNG_VERSION: Final = 50706
_WANTED: Final = {NEW_SUBFILE_TYPE, SUBFILE_TYPE, PHOTOMETRIC, SUB_DIRECTORIES, DNG_VERSION}

_NUMBERS: Final = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
"""Types of values that count or point; a tag of another type is none of those wanted."""
_MOST_ENTRIES: Final = 4096
_MOST_VALUES: Final = 32
_MOST_BYTES: Final = (1 << 63) - 1  # of a file

Tags = dict[int, tuple[int, ...]]


@dataclass(frozen=True)
class _Layout:
    """How the numbers of a file are written: their order, and how wide counts and places are."""

    order: str
    is_big: bool

    @property
    def place(self) -> str:
        return self.order + ("Q" if self.is_big else "I")

    @property
    def count(self) -> str:
        return self.order + ("Q" if self.is_big else "H")

    @property
    def entry(self) -> str:
        return self.order + ("HHQ8s" if self.is_big else "HHI4s")


def directories(file: BinaryIO) -> Iterator[Tags]:
    """The tags of each picture in the chain; ends where the chain does, or leads nowhere."""
    layout, place = _head(file)
    seen: set[int] = set()
    while place and place not in seen:
        seen.add(place)
        tags, place = _directory(file, layout, place)
        yield tags


def below(file: BinaryIO, tags: Tags) -> Iterator[Tags]:
    """The tags of the pictures that belong to one of the chain."""
    layout, _ = _head(file)
    for place in tags.get(SUB_DIRECTORIES, ()):
        yield _directory(file, layout, place)[0]


def _head(file: BinaryIO) -> tuple[_Layout, int]:
    file.seek(0)
    head = file.read(16).ljust(16, b"\0")
    order = "<" if head[:2] == b"II" else ">"
    layout = _Layout(order, struct.unpack_from(order + "H", head, 2)[0] == 43)
    return layout, int(struct.unpack_from(layout.place, head, 8 if layout.is_big else 4)[0])


def _directory(file: BinaryIO, layout: _Layout, place: int) -> tuple[Tags, int]:
    """Wanted tags, and where the next directory is; none and 0 where the file has ended."""
    count = _number(file, layout.count, place)
    size = struct.calcsize(layout.entry)
    start = place + struct.calcsize(layout.count)
    data = _read(file, start, size * min(count, _MOST_ENTRIES))
    entries = struct.iter_unpack(layout.entry, data[: len(data) // size * size])
    tags = {}
    for tag, kind, length, value in entries:
        if tag in _WANTED and kind in _NUMBERS and length:
            tags[tag] = _values(file, layout, layout.order + _NUMBERS[kind], length, value)
    return tags, _number(file, layout.place, start + size * count)


def _values(
    file: BinaryIO, layout: _Layout, form: str, length: int, value: bytes
) -> tuple[int, ...]:
    """The numbers of a tag, in its entry, or where that says if they are too many for it."""
    length, size = min(length, _MOST_VALUES), struct.calcsize(form)
    if length * size > len(value):
        return tuple(
            _number(file, form, struct.unpack(layout.place, value)[0] + size * number)
            for number in range(length)
        )
    return tuple(struct.unpack_from(form, value, size * number)[0] for number in range(length))


def _number(file: BinaryIO, form: str, place: int) -> int:
    """A number at a place; 0 where the file has ended."""
    data = _read(file, place, struct.calcsize(form))
    return int(struct.unpack(form, data)[0]) if len(data) == struct.calcsize(form) else 0


def _read(file: BinaryIO, place: int, size: int) -> bytes:
    if place > _MOST_BYTES:
        return b""
    file.seek(place)
    return file.read(size)

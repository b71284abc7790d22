"""PGS: the presentation graphics of Blu-ray discs (as in US 2009/0185789 A1).

A display set is a composition, palettes, objects and an end. What one composition shows is gone
with the next, which may show nothing.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from pipeline.decode.bitmaps.screen import Bitmap, Grey, Palette, RefusedError, Screen, checked
from pipeline.decode.picture import MOST_PIXELS

_PALETTE, _OBJECT, _COMPOSITION, _END = 0x14, 0x15, 0x16, 0x80
_EPOCH: Final = 0x80
_FIRST: Final = 0x80
_CROPPED: Final = 0x80
_MOST_BYTES: Final = 1 << 24  # of all objects of an epoch; a player's buffer holds 4 MiB
Size = tuple[int, int]


@dataclass(frozen=True)
class _Object:
    """Run lengths of a picture, as they come in pieces."""

    size: Size
    pieces: list[bytes]


@dataclass(frozen=True)
class _Placed:
    """Where an object stands, and which rectangle of it: x, y, width and height."""

    number: int
    x: int
    y: int
    crop: tuple[int, int, int, int] | None


@dataclass(frozen=True)
class _Composition:
    at: int
    size: tuple[int, int]
    palette: int
    placed: tuple[_Placed, ...]


class Pgs:
    """One track; see `Decoder`."""

    def __init__(self, *_: object) -> None:
        """Begin; its packets say all."""
        self._palettes: dict[int, dict[int, tuple[int, int]]] = {}
        self._objects: dict[int, _Object] = {}
        self._composition: _Composition | None = None
        self._bytes = 0  # of the objects

    def feed(self, at: int, data: bytes) -> Iterator[Screen]:
        """Screens of the display sets that end in a packet."""
        for kind, body in _segments(data):
            if kind == _COMPOSITION:
                self._composition = self._compose(at, body)
            elif kind == _PALETTE:
                entries = self._palettes.setdefault(body[0], {})
                entries |= {
                    index: (y, a) for index, y, _, _, a in struct.iter_unpack("5B", body[2:])
                }
            elif kind == _OBJECT:
                self._piece(body)
            elif kind == _END and self._composition:
                composition, self._composition = self._composition, None
                yield self._screen(composition)

    def _compose(self, at: int, body: bytes) -> _Composition:
        width, height, _, _, state, _, palette, count = struct.unpack_from(">HHBHBBBB", body)
        if state & _EPOCH:
            self._palettes, self._objects, self._bytes = {}, {}, 0
        placed, place = [], struct.calcsize(">HHBHBBBB")
        for _ in range(count):
            number, _, flags, x, y = struct.unpack_from(">HBBHH", body, place)
            place += 8
            crop = None
            if flags & _CROPPED:
                crop = struct.unpack_from(">4H", body, place)
                place += 8
            placed.append(_Placed(number, x, y, crop))
        return _Composition(at, checked((width, height)), palette, tuple(placed))

    def _piece(self, body: bytes) -> None:
        number, _, flags = struct.unpack_from(">HBB", body)
        if flags & _FIRST:
            size = struct.unpack_from(">HH", body, 7)
            self._objects[number] = _Object(checked(size), [body[11:]])
        else:
            self._objects[number].pieces.append(body[4:])
        self._bytes += len(body)
        if self._bytes > _MOST_BYTES:
            self._objects, self._bytes = {}, 0
            message = "objects of too many bytes"
            raise RefusedError(message)

    def _screen(self, composition: _Composition) -> Screen:
        at, size, placed = composition.at, composition.size, composition.placed
        if not placed:
            return Screen(at, size)
        entries = self._palettes[composition.palette]
        if not any(alpha for _, alpha in entries.values()):
            return Screen(at, size)  # it is yet to be faded in
        palette = Palette.of([(index, *one) for index, one in entries.items()])
        shown = [(place, self._objects[place.number]) for place in placed]
        key = [(place, one.size, b"".join(one.pieces)) for place, one in shown]
        visible = (palette.alpha > 0).tobytes()
        return Screen(at, size, (tuple(key), visible), partial(_drawn, key, palette))


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Kinds and contents; a packet holds whole segments."""
    place = 0
    while place < len(data):
        kind, length = struct.unpack_from(">BH", data, place)
        place += 3
        if place + length > len(data):
            message = "a segment is cut"
            raise RefusedError(message)
        yield kind, data[place : place + length]
        place += length


def _drawn(shown: Sequence[tuple[_Placed, Size, bytes]], palette: Palette) -> list[Bitmap]:
    """Bitmaps of what is placed; its bytes are bounded too: a line may end without a pixel."""
    if sum(max(width * height, len(data)) for _, (width, height), data in shown) > MOST_PIXELS:
        message = "objects of too many pixels"
        raise RefusedError(message)
    return [
        Bitmap(at.x, at.y, _cropped(_unrolled(size, data), at.crop), palette)
        for at, size, data in shown
    ]


def _cropped(indices: Grey, crop: tuple[int, int, int, int] | None) -> Grey:
    if crop is None:
        return indices
    x, y, width, height = crop
    return indices[y : y + height, x : x + width]


def _unrolled(size: Size, data: bytes) -> Grey:
    """The indices of an object: a byte is a pixel, a zero begins a run or ends a line."""
    width, height = size
    drawn, place = bytearray(), 0
    while place < len(data) and len(drawn) < width * height:
        colour, place = data[place], place + 1
        if colour:
            drawn.append(colour)
            continue
        flags, place = data[place], place + 1
        length = flags & 0x3F
        if flags & 0x40:
            length, place = length << 8 | data[place], place + 1
        if flags & 0x80:
            colour, place = data[place], place + 1
        drawn += bytes((colour,)) * length if flags else bytes(-len(drawn) % width)
    whole = bytes(drawn[: width * height]).ljust(width * height, b"\0")
    return np.frombuffer(whole, np.uint8).reshape(height, width)

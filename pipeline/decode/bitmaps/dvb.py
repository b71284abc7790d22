"""DVB: the subtitles of European television (ETSI EN 300 743).

A page is a list of regions, a region a canvas of indices on which objects are drawn. Both stay
until they are told anew, so that a page may come back without its pixels.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from pipeline.decode.bitmaps.dvb_pixels import draw_lines
from pipeline.decode.bitmaps.screen import (
    Bitmap,
    Grey,
    Palette,
    RefusedError,
    Screen,
    checked,
    drawn_at,
)
from pipeline.decode.picture import MOST_PIXELS

_SYNC: Final = 0x0F
_PAGE, _REGION, _CLUT, _OBJECT, _DISPLAY, _END = 0x10, 0x11, 0x12, 0x13, 0x14, 0x80
_STANDARD: Final = (720, 576)  # of a screen that says nothing of itself
_SECOND: Final = 1_000_000
_NEW_EPOCH: Final = 2  # a page of this state forgets what came before
_GREY: Final = 128
_MOST_BYTES: Final = 1 << 18  # of a packet; in a transport stream it has at most a fourth
_MOST_PLACES: Final = 4  # of an object; it mostly has one
Entries = dict[int, tuple[int, int]]
"""Brightness and opacity by index."""


@dataclass
class _Region:
    """A canvas, and where each object stands on it."""

    bits: int
    clut: int
    canvas: Grey
    objects: dict[int, list[tuple[int, int]]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Page:
    at: int
    timeout_s: int
    placed: tuple[tuple[int, int, int], ...]  # region, x, y


class Dvb:
    """One track; see `Decoder`."""

    def __init__(self, *_: object) -> None:
        """Begin; its packets say all."""
        self._size = _STANDARD
        self._regions: dict[int, _Region] = {}
        self._cluts: dict[tuple[int, int], Entries] = {}
        self._pages: list[_Page] = []

    def feed(self, at: int, data: bytes) -> Iterator[Screen]:
        """The screen of a display set, which a packet holds whole; some leave its end out."""
        if len(data) > _MOST_BYTES:
            message = f"a packet of {len(data)} bytes"
            raise RefusedError(message)
        self._pages.clear()  # that of a packet that was damaged
        place = 2 if data[:1] == b"\x20" else 0  # the head of a packet of a transport stream
        while data[place : place + 1] == bytes((_SYNC,)):
            kind, _, length = struct.unpack_from(">BHH", data, place + 1)
            place += 6
            self._take(kind, at, data[place : place + length])
            place += length
        for page in self._pages[-1:]:
            yield self._screen(page)

    def _take(self, kind: int, at: int, body: bytes) -> None:
        if kind == _PAGE:
            self._compose(at, body)
        elif kind == _REGION:
            self._define(body)
        elif kind == _CLUT:
            self._colour(body)
        elif kind == _OBJECT:
            self._draw(body)
        elif kind == _DISPLAY:
            width, height = struct.unpack_from(">HH", body, 1)
            self._size = checked((width + 1, height + 1))

    def _compose(self, at: int, body: bytes) -> None:
        if body[1] >> 2 & 3 == _NEW_EPOCH:
            self._regions, self._cluts = {}, {}
        placed = tuple((number, x, y) for number, _, x, y in struct.iter_unpack(">BBHH", body[2:]))
        self._pages.append(_Page(at, body[0], placed))

    def _define(self, body: bytes) -> None:
        number, flags, width, height, depth, clut = struct.unpack_from(">BBHHBB", body)
        eight, fewer = body[8:10]
        bits = {1: 2, 2: 4, 3: 8}[depth >> 2 & 7]
        checked((width, height))
        known = self._regions.pop(number, None)
        if sum(one.canvas.size for one in self._regions.values()) + width * height > MOST_PIXELS:
            message = "regions of too many pixels"
            raise RefusedError(message)
        fill = {2: fewer >> 2 & 3, 4: fewer >> 4, 8: eight}[bits]
        if known is None or known.canvas.shape != (height, width) or flags & 8:
            known = _Region(bits, clut, np.full((height, width), fill, np.uint8))
        region = _Region(bits, clut, known.canvas)
        place = 10
        while place < len(body):
            item, x, y = struct.unpack_from(">HHH", body, place)
            region.objects.setdefault(item, []).append((x & 0xFFF, y & 0xFFF))
            place += 8 if x >> 14 in (1, 2) else 6  # a character has two colours more
        self._regions[number] = region

    def _colour(self, body: bytes) -> None:
        place = 2
        while place < len(body):
            index, flags = body[place : place + 2]
            if flags & 1:
                light, _, _, clear = body[place + 2 : place + 6]
            else:
                (packed,) = struct.unpack_from(">H", body, place + 2)
                light, clear = packed >> 10 << 2, (packed & 3) * 85
            place += 6 if flags & 1 else 4
            entry = light, 255 - clear if light else 0
            for bits, flag in ((2, 0x80), (4, 0x40), (8, 0x20)):
                if flags & flag:
                    self._cluts.setdefault((body[0], bits), {})[index] = entry

    def _draw(self, body: bytes) -> None:
        """Draw an object of pixels wherever it stands: the lines of two fields, or of one twice."""
        number, flags, top, bottom = struct.unpack_from(">HBHH", body)
        if flags >> 2 & 3:
            return  # characters of a font that nobody has
        fields = body[7 : 7 + top], body[7 + top : 7 + top + bottom]
        places = [
            (region, x, y)
            for region in self._regions.values()
            for x, y in region.objects.get(number, ())
        ]
        if len(places) > _MOST_PLACES:
            message = f"an object that stands at {len(places)} places"
            raise RefusedError(message)
        for region, x, y in places:
            for odd, lines in enumerate((fields[0], fields[1] or fields[0])):
                draw_lines(lines, region.canvas, region.bits, x, y + odd)

    def _screen(self, page: _Page) -> Screen:
        placed = [
            (x, y, region)
            for number, x, y in page.placed
            if (region := self._regions.get(number)) is not None
        ]
        if sum(region.canvas.size for *_, region in placed) > MOST_PIXELS:
            message = "regions of too many pixels"
            raise RefusedError(message)
        bitmaps = [
            Bitmap(x, y, region.canvas.copy(), self._palette(region)) for x, y, region in placed
        ]
        until = page.at + page.timeout_s * _SECOND if page.timeout_s else None
        return drawn_at(page.at, self._size, bitmaps, until)

    def _palette(self, region: _Region) -> Palette:
        entries = _standard(region.bits) | self._cluts.get((region.clut, region.bits), {})
        return Palette.of([(index, *one) for index, one in entries.items()])


def _standard(bits: int) -> Entries:
    """What indices mean until it is said, as far as it matters for reading; 0 is transparent."""
    if bits == 2:
        return {1: (255, 255), 2: (0, 255), 3: (_GREY, 255)}
    weights = (76, 150, 29)  # of red, green and blue
    return {
        index: (sum(one for n, one in enumerate(weights) if index >> n & 1), 255)
        for index in range(1, 1 << bits)
    }

"""VobSub: the subtitles of DVDs: a picture of four colours, and commands with their times."""

import re
import struct
from collections.abc import Iterator
from itertools import islice
from typing import Final

import numpy as np

from pipeline.decode.bitmaps.screen import (
    Bitmap,
    Grey,
    Palette,
    RefusedError,
    Screen,
    checked,
    drawn_at,
)

_TICK: Final = 1024 * 1_000_000 / 90_000  # microseconds, of the times of commands
_UNKNOWN: Final = (0, 255, 0, 128)
"""Brightness of ground, letter, rim and edge, where no palette says it: as discs use them."""
_FORCED_START, _START, _STOP, _COLOURS, _ALPHA, _AREA, _FIELDS, _CHANGES, _END = *range(8), 0xFF
_MOST_BYTES: Final = 0xFFFF  # as its own size can say
_MOST_COMMANDS: Final = 1000
_LENGTHS: Final = {_COLOURS: 2, _ALPHA: 2, _AREA: 6, _FIELDS: 4}


class VobSub:
    """One track; see `Decoder`."""

    def __init__(self, index: bytes, size: tuple[int, int]) -> None:
        """Read the `.idx` file, which Matroska keeps; a disc's screen is as large as the video."""
        head = index[:4096].decode(errors="replace")
        told = re.search(r"^size: *(\d{2,4})x(\d{2,4})", head, re.M)
        palette = re.search(r"^palette: *([0-9a-f, ]+)", head, re.M | re.I)
        self._size = (int(told[1]), int(told[2])) if told else size
        colours = [int(one, 16) for one in palette[1].replace(",", " ").split()] if palette else []
        self._luma = [_brightness(one) for one in colours] if len(colours) == 16 else None

    def feed(self, at: int, data: bytes) -> Iterator[Screen]:
        """The screen of a packet, which says when it ends."""
        if len(data) > _MOST_BYTES:
            message = f"a packet of {len(data)} bytes"
            raise RefusedError(message)
        told: dict[int, bytes] = {}
        begins, ends = 0, None
        for date, command, body in islice(_commands(data), _MOST_COMMANDS):
            if command in (_FORCED_START, _START):
                begins = date
            elif command == _STOP:
                ends = date
            elif command != _ALPHA:
                told.setdefault(command, body)
            elif sum(_nibbles(body)) >= sum(_nibbles(told.get(_ALPHA, bytes(2)))):
                told[_ALPHA] = body  # before it fades out, behind it fades in
        x0, x1, y0, y1 = _twelves(told[_AREA])
        indices = _pictured(data, told[_FIELDS], checked((x1 - x0 + 1, y1 - y0 + 1)))
        palette = self._palette(_nibbles(told[_COLOURS]), _nibbles(told[_ALPHA]))
        until = None if ends is None else at + round(ends * _TICK)
        bitmap = Bitmap(x0, y0, indices, palette)
        yield drawn_at(at + round(begins * _TICK), self._size, [bitmap], until)

    def _palette(self, colours: list[int], alphas: list[int]) -> Palette:
        lights = [self._luma[one] for one in colours] if self._luma else _UNKNOWN
        return Palette.of([(n, lights[n], 17 * alphas[n]) for n in range(4)])


def _brightness(colour: int) -> int:
    red, green, blue = colour >> 16 & 255, colour >> 8 & 255, colour & 255
    return (76 * red + 150 * green + 29 * blue) // 255


def _commands(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Dates, commands and what belongs to them; a sequence that names itself is the last."""
    (place,) = struct.unpack_from(">H", data, 2)
    before = -1
    while place > before:
        date, following = struct.unpack_from(">HH", data, place)
        before, at = place, place + 4
        while (command := data[at]) != _END:
            length = _LENGTHS.get(command, 0)
            if command == _CHANGES:
                (length,) = struct.unpack_from(">H", data, at + 1)
            yield date, command, data[at + 1 : at + 1 + length]
            at += 1 + length
        place = following


def _nibbles(body: bytes) -> list[int]:
    """The values of the four indices, which stand from the last to the first."""
    return [body[1] & 15, body[1] >> 4, body[0] & 15, body[0] >> 4]


def _twelves(body: bytes) -> list[int]:
    digits = body.hex()
    return [int(digits[n : n + 3], 16) for n in range(0, 12, 3)]


def _pictured(data: bytes, fields: bytes, size: tuple[int, int]) -> Grey:
    """Even lines begin at one place, odd ones at another."""
    indices = np.zeros((size[1], size[0]), np.uint8)
    for odd, place in enumerate(struct.unpack(">HH", fields)):
        digits = data[place:].hex()
        at = 0
        for row in indices[odd::2]:
            at = _line(digits, at, row)
    return indices


def _line(digits: str, at: int, row: Grey) -> int:
    """Draw a line of runs of 1 to 4 nibbles from a place on; returns the place of the next."""
    column = 0
    while column < row.size and at < len(digits):
        value, at = _run(digits, at)
        length = value >> 2 or row.size
        row[column : column + length] = value & 3
        column += length
    return at + at % 2


def _run(digits: str, at: int) -> tuple[int, int]:
    """A run: it has as many nibbles more as its first bits are zeros, two at a time."""
    for count in range(1, 5):
        value = int(digits[at : at + count] or "0", 16)
        if value >= 1 << 2 * count:
            break
    return value, at + count

"""DVB pixels: run lengths of 2, 4 and 8 bits (ETSI EN 300 743, sections 7.2.5.1 and 7.2.5.2)."""

from collections.abc import Iterator
from typing import Final

from pipeline.decode.bitmaps.screen import Grey

_STRINGS: Final = {0x10: 2, 0x11: 4, 0x12: 8}
_TABLES: Final = {0x20: (2, 4), 0x21: (2, 8), 0x22: (4, 8)}
_END_OF_LINE: Final = 0xF0
_DEFAULT: Final = {
    (2, 4): (0, 7, 8, 15),
    (2, 8): (0, 0x77, 0x88, 0xFF),
    (4, 8): tuple(17 * index for index in range(16)),
}
Run = tuple[int, int]
"""How many pixels, of which index."""


class _Bits:
    """Reads a string of bits; behind its end are zeros."""

    def __init__(self, data: bytes, byte: int) -> None:
        self._data, self._place = data, 8 * byte

    def take(self, count: int) -> int:
        """The next bits, at most 8."""
        byte, shift = divmod(self._place, 8)
        self._place += count
        return int.from_bytes(self._data[byte : byte + 2].ljust(2, b"\0")) >> (
            16 - shift - count
        ) & ((1 << count) - 1)

    @property
    def byte(self) -> int:
        """Place of the next byte that has not been begun."""
        return -(-self._place // 8)


def draw_lines(data: bytes, canvas: Grey, bits: int, x: int, y: int) -> None:
    """Draw every second line of an object.

    Args:
        data: of one field.
        canvas: `uint8 (height, width)`; what reaches beyond it is left out.
        bits: of an index of the canvas.
        x: pixels, of the object's left edge.
        y: pixels, of the first line.
    """
    tables, place, column = dict(_DEFAULT), 0, x
    while place < len(data) and y < canvas.shape[0]:
        kind, place = data[place], place + 1
        if kind in _STRINGS:
            depth = _STRINGS[kind]
            reader = _Bits(data, place)
            table = tables.get((depth, bits))
            for length, index in _RUNS[depth](reader):
                shown = table[index] if table else index
                canvas[y, column : column + length] = shown
                column += length
            place = reader.byte
        elif kind in _TABLES:
            small, large = _TABLES[kind]
            reader = _Bits(data, place)
            tables[small, large] = tuple(reader.take(large) for _ in range(1 << small))
            place = reader.byte
        elif kind == _END_OF_LINE:
            column, y = x, y + 2


def _two(bits: _Bits) -> Iterator[Run]:
    while True:
        if index := bits.take(2):
            yield 1, index
        elif bits.take(1):
            length = bits.take(3) + 3
            yield length, bits.take(2)
        elif bits.take(1):
            yield 1, 0
        elif (kind := bits.take(2)) == 1:
            yield 2, 0
        elif kind:
            length = bits.take(4) + 12 if kind == 2 else bits.take(8) + 29
            yield length, bits.take(2)
        else:
            return


def _four(bits: _Bits) -> Iterator[Run]:
    while True:
        if index := bits.take(4):
            yield 1, index
        elif not bits.take(1):
            if not (length := bits.take(3)):
                return
            yield length + 2, 0
        elif not bits.take(1):
            length = bits.take(2) + 4
            yield length, bits.take(4)
        elif (kind := bits.take(2)) < 2:
            yield kind + 1, 0
        else:
            length = bits.take(4) + 9 if kind == 2 else bits.take(8) + 25
            yield length, bits.take(4)


def _eight(bits: _Bits) -> Iterator[Run]:
    while True:
        if index := bits.take(8):
            yield 1, index
        elif bits.take(1):
            length = bits.take(7)
            yield length, bits.take(8)
        elif length := bits.take(7):
            yield length, 0
        else:
            return


_RUNS: Final = {2: _two, 4: _four, 8: _eight}

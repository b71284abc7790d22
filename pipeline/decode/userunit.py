"""User unit: how large a unit of a PDF's pages is, which pdfium does not say."""

import re
import zlib
from typing import BinaryIO, Final

_VALUE: Final = re.compile(rb"/UserUnit\s+(\d{1,6}(?:\.\d{1,6})?)(?![\d.]|\s+\d+\s+R)")
_PACKED: Final = re.compile(rb"/ObjStm\b.{0,400}?stream\r?\n", re.S)
_MOST_BYTES: Final = 64 << 20  # that are searched
_MOST_PACKED: Final = 1 << 20  # bytes of one object stream
_MOST_UNPACKED: Final = 4 << 20


def user_unit(file: BinaryIO) -> float:
    """Points a unit (ISO 32000-1, table 30), if all pages that state one state the same; else 1.

    Args:
        file: the document; its position is lost.
    """
    file.seek(0)
    data = file.read(_MOST_BYTES)
    stated = {float(value) for value in _VALUE.findall(data)}
    for stream in _PACKED.finditer(data):
        try:
            packed = data[stream.end() : stream.end() + _MOST_PACKED]
            unpacked = zlib.decompressobj().decompress(packed, _MOST_UNPACKED)
        except zlib.error:
            continue
        stated |= {float(value) for value in _VALUE.findall(unpacked)}
    return stated.pop() if len(stated) == 1 and min(stated) > 0 else 1.0

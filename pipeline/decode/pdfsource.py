"""PDF source: what a document states that pdfium does not tell: a unit of its own, and layers."""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

_UNIT: Final = re.compile(rb"/UserUnit\s+(\d{1,6}(?:\.\d{1,6})?)(?![\d.]|\s+\d+\s+R)")
_LAYERS: Final = b"/OCProperties"  # of the catalog (ISO 32000-1, table 28)
_ENCRYPTED: Final = b"/Encrypt"
_PACKED: Final = re.compile(rb"/ObjStm\b.{0,400}?stream\r?\n", re.S)
_MOST_BYTES: Final = 64 << 20  # that are searched
_MOST_PACKED: Final = 1 << 20  # bytes of one object stream
_MOST_UNPACKED: Final = 4 << 20


@dataclass(frozen=True)
class Stated:
    """What a document states.

    Attributes:
        unit: points a unit (ISO 32000-1, table 30), if all pages that state one state the same;
            else 1.
        may_have_layers: false only if all of the document was read, and none are stated.
    """

    unit: float
    may_have_layers: bool


def stated(file: BinaryIO) -> Stated:
    """Search a document.

    Args:
        file: the document; its position is lost.
    """
    file.seek(0)
    data = file.read(_MOST_BYTES)
    units = set(_UNIT.findall(data))
    may_have_layers = _LAYERS in data or _ENCRYPTED in data or len(data) == _MOST_BYTES
    for objects in _unpacked(data):
        may_have_layers |= objects is None or _LAYERS in objects
        units |= set(_UNIT.findall(objects or b""))
    values = {float(unit) for unit in units}
    unit = values.pop() if len(values) == 1 and min(values) > 0 else 1.0
    return Stated(unit, may_have_layers)


def _unpacked(data: bytes) -> Iterator[bytes | None]:
    """The object streams; None for one that cannot be read whole."""
    for stream in _PACKED.finditer(data):
        unpacker = zlib.decompressobj()
        try:
            packed = data[stream.end() : stream.end() + _MOST_PACKED]
            objects = unpacker.decompress(packed, _MOST_UNPACKED)
        except zlib.error:
            yield None
            continue
        yield objects
        if not unpacker.eof or not objects.lstrip()[:1].isdigit():  # it begins with numbers
            yield None

"""Crop: what a container hides at the edges of its pictures, which libavcodec leaves to players.

Matroska says it as PixelCrop (RFC 9559, section 5.1.4.1.28), ISO base media as `clap`
(ISO/IEC 14496-12, section 12.1.4).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO, Final

from pipeline.decode.sniff import BOXES

_EBML: Final = 0x1A45DFA3
_SEGMENT, _TRACKS, _TRACK, _VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0xE0
_EDGES: Final = (0x54CC, 0x54BB, 0x54DD, 0x54AA)  # left, top, right, bottom
_MOOV: Final = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
_ENTRY_BYTES: Final = 78  # of a VisualSampleEntry, before the boxes in it
_MOST: Final = 10_000  # elements that are looked at

Span = tuple[int, int]


@dataclass(frozen=True)
class Crop:
    """Pixels that are hidden at each edge, before the picture is turned."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    def box(self, width: int, height: int) -> tuple[int, int, int, int]:
        """What is shown of a frame: left, top, right, bottom; all of it if nothing would be."""
        shown = self.left, self.top, width - self.right, height - self.bottom
        is_sound = 0 <= shown[0] < shown[2] <= width and 0 <= shown[1] < shown[3] <= height
        return shown if is_sound else (0, 0, width, height)


def crops_of(file: BinaryIO) -> list[Crop]:
    """What is hidden of each video track, in their order; nothing where it cannot be read."""
    length = file.seek(0, 2)
    file.seek(0)
    head = file.read(8)
    try:
        if int.from_bytes(head[:4], "big") == _EBML:
            return list(_matroska(file, length))
        return list(_movie(file, length)) if head[4:] in BOXES else []
    except (struct.error, IndexError, ZeroDivisionError):
        return []  # damaged: the demuxer will tell
    finally:
        file.seek(0)


def _matroska(file: BinaryIO, length: int) -> Iterator[Crop]:
    for segment in _elements(file, (0, length), _SEGMENT):
        for tracks in _elements(file, segment, _TRACKS):
            for track in _elements(file, tracks, _TRACK):
                for video in _elements(file, track, _VIDEO):
                    yield Crop(*(_number(file, video, edge) for edge in _EDGES))
            return


def _number(file: BinaryIO, span: Span, wanted: int) -> int:
    for start, stop in _elements(file, span, wanted):
        file.seek(start)
        return int.from_bytes(file.read(min(8, stop - start)), "big")
    return 0


def _elements(file: BinaryIO, span: Span, wanted: int) -> Iterator[Span]:
    """Where elements of a kind lie among those of a span."""
    at, stop = span
    for _ in range(_MOST):
        if at >= stop:
            return
        file.seek(at)
        head = file.read(12)
        octets = 9 - head[0].bit_length()
        kind = int.from_bytes(head[:octets], "big")
        more = 9 - head[octets].bit_length()
        size = int.from_bytes(head[octets : octets + more], "big") & ((1 << 7 * more) - 1)
        at += octets + more
        if size == (1 << 7 * more) - 1:  # unknown: up to the end
            size = stop - at
        if octets > 4 or more > 8:
            return
        if kind == wanted:
            yield at, min(stop, at + size)
        at += size


def _movie(file: BinaryIO, length: int) -> Iterator[Crop]:
    spans = [(0, length)]
    for name in _MOOV:
        spans = [inner for span in spans for inner in _boxes(file, span, name)]
    for start, stop in spans:  # version, flags and count of entries come first
        for entry in _boxes(file, (start + 8, stop)):
            file.seek(entry[0])
            data = file.read(28)
            width, height = struct.unpack(">HH", data[24:28])
            if not width or not height:
                continue  # sound or text
            crop = Crop()
            for at, _ in _boxes(file, (entry[0] + _ENTRY_BYTES, entry[1]), b"clap"):
                file.seek(at)
                crop = _aperture(struct.unpack(">IIIIiIiI", file.read(32)), width, height)
            yield crop


def _aperture(values: tuple[int, ...], width: int, height: int) -> Crop:
    """The edges by size and by the centre's distance from that of the picture."""
    wide, high, right, down = (
        Fraction(a, b) for a, b in zip(values[::2], values[1::2], strict=True)
    )
    left, top = (width - wide) / 2 + right, (height - high) / 2 + down
    return Crop(
        max(0, round(left)),
        max(0, round(top)),
        max(0, round(width - left - wide)),
        max(0, round(height - top - high)),
    )


def _boxes(file: BinaryIO, span: Span, wanted: bytes = b"") -> Iterator[Span]:
    """Where the contents of boxes lie in a span, all of them or those of a kind."""
    at, stop = span
    for _ in range(_MOST):
        if at + 8 > stop:
            return
        file.seek(at)
        head = file.read(16)
        size, kind, start = int.from_bytes(head[:4], "big"), head[4:8], at + 8
        if size == 1:
            size, start = int.from_bytes(head[8:16], "big"), at + 16
        size = size or stop - at
        if size < 8:
            return
        if not wanted or kind == wanted:
            yield start, min(stop, at + size)
        at += size

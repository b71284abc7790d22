"""Tail: whether a container is whole, as far as its own sizes say."""

import struct
from typing import BinaryIO, Final

from pipeline.decode.sniff import BOXES, HEAD_BYTES, VIDEOS
from schemas.shards import MediaWarning

_MAX_BOXES: Final = 1_000_000
_SEGMENT: Final = b"\x18\x53\x80\x67"
_KINDS: Final = {
    *BOXES,
    *(b"sidx", b"ssix", b"mfra", b"meta", b"uuid", b"udta", b"emsg", b"prft", b"pdin", b"meco"),
}
"""Boxes of ISO/IEC 14496-12 that stand at the top level of a file."""
_ROUNDED: Final = 8  # bytes by which some writers of RIFF are wrong


def tail_of(file: BinaryIO) -> tuple[bool, MediaWarning | None]:
    """Whether a file should be longer than it is, and what else is odd at its end.

    Knows ISO base media (ISO/IEC 14496-12, section 4.2), Matroska (RFC 8794) and RIFF; of other
    formats it says nothing. The position is at the start afterwards.
    """
    length = file.seek(0, 2)
    file.seek(0)
    head = file.read(HEAD_BYTES)
    try:
        if head[:4] == b"RIFF":
            return _riff(8 + int.from_bytes(head[4:8], "little"), length)
        if head.startswith(VIDEOS[0]):
            return _segment_end(head) > length, None
        return _boxes(file, length) if head[4:8] in BOXES else (False, None)
    finally:
        file.seek(0)


def _riff(stated: int, length: int) -> tuple[bool, MediaWarning | None]:
    if 0 < stated - length <= _ROUNDED:
        detail = f"the header says {stated} bytes, and there are {length}"
        return False, MediaWarning("damaged", detail)
    return stated > length, None


def _boxes(file: BinaryIO, length: int) -> tuple[bool, MediaWarning | None]:
    """Walk the top-level boxes: one ends behind the file, or there is no index (`moov`)."""
    at = 0
    seen: set[bytes] = set()
    for _ in range(_MAX_BOXES):
        if at >= length:
            break
        file.seek(at)
        head = file.read(16)
        kind = head[4:8]
        if {b"moov", b"mdat"} <= seen and kind not in _KINDS:
            detail = f"{length - at} bytes behind the last box are none of its content"
            return False, MediaWarning("trailing_bytes", detail)
        if len(head) < 8:
            return True, None
        size = struct.unpack(">I", head[:4])[0]
        if size == 1:
            if len(head) < 16:
                return True, None
            size = struct.unpack(">Q", head[8:])[0]
        seen.add(kind)
        if size == 0:  # up to the end of the file
            break
        if size < 8:
            return False, None  # damaged rather than cut: the demuxer will tell
        at += size
    return at > length or b"moov" not in seen, None


def _segment_end(head: bytes) -> int:
    """Where Matroska's segment ends, or 0 if that is unknown or not near the start."""
    at = head.find(_SEGMENT)
    if at < 0 or at + 12 > len(head):
        return 0
    first = head[at + 4]
    octets = 9 - first.bit_length()
    if octets > 8:
        return 0
    value = int.from_bytes(head[at + 4 : at + 4 + octets], "big")
    size = value & ((1 << (7 * octets)) - 1)
    unknown = (1 << (7 * octets)) - 1
    return 0 if size == unknown else at + 4 + octets + size

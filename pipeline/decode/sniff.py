"""Sniff: what a file is, and whether it is whole, by its bytes and never by its name."""

import struct
from typing import BinaryIO, Final, Literal

from schemas.errors import InputError

Content = Literal["video", "document", "image"]
HEAD_BYTES: Final = 4096
_IMAGES: Final = (
    *(b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a"),
    *(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"BM"),  # TIFF, BigTIFF, BMP
)
_VIDEOS: Final = (b"\x1a\x45\xdf\xa3", b"OggS", b"FLV\x01")
_BOXES: Final = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp", b"moof", b"pnot")
_STILL_BRANDS: Final = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1")
_MAX_BOXES: Final = 1_000_000
_SEGMENT: Final = b"\x18\x53\x80\x67"


def sniff(head: bytes) -> Content:
    """Tell a medium's kind.

    Args:
        head: the first `HEAD_BYTES` of the file.

    Raises:
        InputError: `unsupported_format`; the message lacks the file's name.
    """
    if b"%PDF-" in head[:1024]:
        return "document"
    if head.startswith(_IMAGES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return "image"
    if _is_video(head):
        return "video"
    message = "its content is no video, PDF or image that reelpage reads; convert or remove it"
    raise InputError("unsupported_format", message)


def _is_video(head: bytes) -> bool:
    if head[4:8] in _BOXES:
        return head[4:8] != b"ftyp" or head[8:12] not in _STILL_BRANDS
    if head.startswith(_VIDEOS) or (head[:4] == b"RIFF" and head[8:12] == b"AVI "):
        return True
    return _is_transport_stream(head, 188, 0) or _is_transport_stream(head, 192, 4)


def _is_transport_stream(head: bytes, packet: int, first: int) -> bool:
    marks = head[first::packet]
    return len(marks) >= 3 and set(marks) == {0x47}


def is_cut_short(file: BinaryIO) -> bool:
    """Whether a container's own sizes say that the file should be longer than it is.

    Knows ISO base media (ISO/IEC 14496-12, section 4.2), Matroska (RFC 8794) and RIFF; of other
    formats it says no. The position is at the start afterwards.
    """
    length = file.seek(0, 2)
    file.seek(0)
    head = file.read(HEAD_BYTES)
    try:
        if head[:4] == b"RIFF":
            return 8 + int.from_bytes(head[4:8], "little") > length
        if head.startswith(_VIDEOS[0]):
            return _segment_end(head) > length
        return head[4:8] in _BOXES and _boxes_are_cut(file, length)
    except struct.error:
        return True
    finally:
        file.seek(0)


def _boxes_are_cut(file: BinaryIO, length: int) -> bool:
    """Walk the top-level boxes: one ends behind the file, or there is no index (`moov`)."""
    at, has_index = 0, False
    for _ in range(_MAX_BOXES):
        if at >= length:
            break
        file.seek(at)
        size, kind = struct.unpack(">I4s", file.read(8))
        if size == 1:
            size = struct.unpack(">Q", file.read(8))[0]
        has_index |= kind == b"moov"
        if size == 0:  # up to the end of the file
            break
        if size < 8:
            return False  # damaged rather than cut: the demuxer will tell
        at += size
    return at > length or not has_index


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

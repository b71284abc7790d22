"""Tail: whether a container is whole and holds one recording, as far as its own sizes say."""

from dataclasses import dataclass
from typing import BinaryIO, Final

from pipeline.decode.joined import FLV, tags
from pipeline.decode.sniff import BOXES, HEAD_BYTES, VIDEOS
from schemas.errors import InputError
from schemas.shards import MediaWarning

_MAX_BOXES: Final = 1_000_000
_SEGMENT: Final = b"\x18\x53\x80\x67"
_KINDS: Final = {
    *BOXES,
    *(b"sidx", b"ssix", b"mfra", b"meta", b"uuid", b"udta", b"emsg", b"prft", b"pdin", b"meco"),
}
"""Boxes of ISO/IEC 14496-12 that stand at the top level of a file."""
_ROUNDED: Final = 8  # bytes by which some writers of RIFF are wrong


@dataclass(frozen=True)
class Tail:
    """What a container says of its own end.

    Attributes:
        is_cut: whether the file should be longer than it is.
        is_single: whether it holds one recording for sure, with times that only grow.
        warning: what else is odd.
    """

    is_cut: bool = False
    is_single: bool = False
    warning: MediaWarning | None = None


def tail_of(file: BinaryIO) -> Tail:
    """Look at the end of a file.

    Knows ISO base media (ISO/IEC 14496-12, section 4.2), Matroska (RFC 8794), RIFF and FLV; of
    other formats it says nothing. The position is at the start afterwards.

    Raises:
        InputError: `corrupt`, for a piece of a stream that does not say what it holds.
    """
    length = file.seek(0, 2)
    file.seek(0)
    head = file.read(HEAD_BYTES)
    try:
        if head[:4] == b"RIFF":
            return _riff(file, length)
        if head.startswith(VIDEOS[0]):
            return _matroska(file, _segment_end(head), length)
        if head.startswith(FLV):
            return _flv(file)
        return _boxes(file, length) if head[4:8] in BOXES else Tail()
    finally:
        file.seek(0)


def _riff(file: BinaryIO, length: int) -> Tail:
    """Walk the chunks: an AVI of more than a gigabyte, or a joined one, has several."""
    at = 0
    while at < length:
        file.seek(at)
        head = file.read(8)
        if head[:4] != b"RIFF":
            return Tail(is_single=True, warning=_trailing(length - at))
        size = int.from_bytes(head[4:8], "little")
        if not size:  # nobody came back to write it
            break
        stated = at + 8 + size
        if 0 < stated - length <= _ROUNDED:
            detail = f"the header says {stated} bytes, and there are {length}"
            return Tail(is_single=True, warning=MediaWarning("damaged", detail))
        at = stated if stated == length else stated + stated % 2
    return Tail(is_cut=at > length + 1, is_single=True)


def _flv(file: BinaryIO) -> Tail:
    """Walk the tags, to another header: of a recording that is not read as one with the first."""
    for at, head in tags(file):
        if head.startswith(FLV):
            return Tail(warning=_another(at))
    return Tail()


def _matroska(file: BinaryIO, end: int, length: int) -> Tail:
    file.seek(end)
    is_joined = file.read(4) == VIDEOS[0]
    return Tail(is_cut=end > length, is_single=end > 0 and not is_joined)


def _boxes(file: BinaryIO, length: int) -> Tail:
    """Walk the top-level boxes: one ends behind the file, or there is no index (`moov`)."""
    at = 0
    seen: set[bytes] = set()
    for _ in range(_MAX_BOXES):
        if at >= length:
            break
        file.seek(at)
        head = file.read(16)
        kind = head[4:8]
        is_whole = {b"moov", b"mdat"} <= seen
        is_single = b"moof" not in seen
        if is_whole and is_single and kind == b"ftyp":
            return Tail(is_single=True, warning=_another(at))
        if is_whole and kind not in _KINDS:
            return Tail(is_single=is_single, warning=_trailing(length - at))
        if len(head) < 8 or (_is_large(head) and len(head) < 16):
            return Tail(is_cut=True)
        size = _box_size(head)
        seen.add(kind)
        if size == 0:  # up to the end of the file
            break
        if size < 8:
            return Tail()  # damaged rather than cut: the demuxer will tell
        at += size
    _refuse_piece(seen)
    return Tail(is_cut=at > length or b"moov" not in seen, is_single=b"moof" not in seen)


def _refuse_piece(boxes: set[bytes]) -> None:
    if b"moof" in boxes and b"moov" not in boxes:
        message = "it is a piece of a stream; join it to the stream's initialisation segment"
        raise InputError("corrupt", message)


def _is_large(head: bytes) -> bool:
    """Whether the size stands behind the kind, in 64 bits."""
    return head[:4] == b"\0\0\0\1"


def _box_size(head: bytes) -> int:
    return int.from_bytes(head[8:16] if _is_large(head) else head[:4], "big")


def _trailing(size: int) -> MediaWarning:
    detail = f"{size} bytes behind the end of the recording are none of it"
    return MediaWarning("trailing_bytes", detail)


def _another(at: int) -> MediaWarning:
    return MediaWarning("not_read", f"another recording begins at byte {at}; the first is read")


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

"""Sniff: what a file is, by its first bytes and never by its name."""

from typing import Literal

from schemas.errors import InputError

Content = Literal["video", "document", "image"]
HEAD_BYTES = 4096
_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"BM")
_VIDEOS = (b"\x1a\x45\xdf\xa3", b"OggS", b"FLV\x01")


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
    if head.startswith(_VIDEOS) or (head[:4] == b"RIFF" and head[8:12] == b"AVI "):
        return "video"
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"styp", b"moof"):
        return "video"
    if _is_transport_stream(head, 188, 0) or _is_transport_stream(head, 192, 4):
        return "video"
    message = "its content is no video, PDF or image that reelpage reads; convert or remove it"
    raise InputError("unsupported_format", message)


def _is_transport_stream(head: bytes, packet: int, first: int) -> bool:
    marks = head[first::packet]
    return len(marks) >= 3 and set(marks) == {0x47}

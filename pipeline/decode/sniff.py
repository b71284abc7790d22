"""Sniff: what a file is, by its bytes and never by its name."""

from typing import Final, Literal

from pipeline.decode.tga import is_tga
from schemas.errors import InputError

RAW_FILE: Final = "a camera's raw file, which is not read; export it as TIFF or JPEG"
Content = Literal["video", "document", "image"]
HEAD_BYTES: Final = 4096
_IMAGES: Final = (
    *(b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a"),
    *(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"BM"),  # TIFF, BigTIFF, BMP
    *(b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),  # JPEG 2000
    b"\0\0\x01\0",  # ICO
)
VIDEOS: Final = (b"\x1a\x45\xdf\xa3", b"OggS", b"FLV\x01")
_MORE_VIDEOS: Final = (
    *(b"\0\0\x01\xba", b"\0\0\x01\xb3"),  # program stream; MPEG-1 or 2 alone
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF
    b"\x06\x0e\x2b\x34\x02\x05\x01\x01",  # MXF
    b"\x1f\x07\0",  # DV
    *(b"\0\0\0\x01\x67", b"\0\0\x01\x67", b"\0\0\0\x01\x09", b"\0\0\x01\x09"),  # H.264
    *(b"\0\0\0\x01\x40\x01", b"\0\0\x01\x40\x01"),  # H.265
    b"YUV4MPEG2 ",
)
BOXES: Final = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp", b"moof", b"pnot")
_PACKETS: Final = (188, 192, 204)  # plain, with a time before, with parity behind
_SYNC: Final = 0x47
_JPEG_XL: Final = "a JPEG XL image, which is not read; convert it, for example with djxl to PNG"
_OLD_OFFICE: Final = "an Office file of before 2007, or one with a password; export it as PDF"
_KNOWN: Final = {
    # Olympus, Panasonic, Fuji, Minolta, Sigma; others are TIFF, see `tiff`
    **dict.fromkeys((b"IIRO", b"IIRS", b"MMOR", b"IIU\0"), RAW_FILE),
    **dict.fromkeys((b"FUJIFILMCCD-RAW", b"\0MRM", b"FOVb"), RAW_FILE),
    **dict.fromkeys((b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"), _JPEG_XL),
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": _OLD_OFFICE,
}
"""What is not read, by how it begins, and what is said of it."""
_RAW_BRAND: Final = b"ftypcrx "  # Canon
_STILL_BRANDS: Final = (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1")
_TEXT_IMAGES: Final = (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6")


def sniff(head: bytes) -> Content:
    """Tell a medium's kind.

    Args:
        head: the first `HEAD_BYTES` of the file.

    Raises:
        InputError: `unsupported_format`; the message lacks the file's name.
    """
    if b"%PDF-" in head[:1024]:
        return "document"
    if head[4:12] == _RAW_BRAND:
        raise InputError("unsupported_format", RAW_FILE)
    if _is_image(head):
        return "image"
    if _is_video(head):
        return "video"
    if is_tga(head):
        return "image"
    for mark, why in _KNOWN.items():
        if head.startswith(mark):
            raise InputError("unsupported_format", why)
    message = "its content is no video, PDF or image that reelpage reads; convert or remove it"
    raise InputError("unsupported_format", message)


def _is_image(head: bytes) -> bool:
    if head.startswith(_IMAGES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return True
    if head.startswith(_TEXT_IMAGES) and head[2:3].isspace():  # netpbm
        return True
    return head[4:8] == b"ftyp" and head[8:12] in _STILL_BRANDS


def _is_video(head: bytes) -> bool:
    if head[4:8] in BOXES:
        return True
    if head.startswith((*VIDEOS, *_MORE_VIDEOS)) or (head[:4] == b"RIFF" and head[8:12] == b"AVI "):
        return True
    return any(_is_transport_stream(head, size) for size in _PACKETS)


def _is_transport_stream(head: bytes, size: int) -> bool:
    """Whether packets begin in every `size` bytes (ISO/IEC 13818-1), wherever the first is cut."""
    for first in range(size):
        marks = head[first::size]
        if len(marks) >= 3 and set(marks) == {_SYNC} and set(head) != {_SYNC}:
            return True
    return False

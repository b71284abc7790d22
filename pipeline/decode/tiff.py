"""TIFF: which of the pictures in a file are its pages, and what their tags say of the values."""

import struct
from typing import IO, Any, Final, cast

from PIL import Image, ImageFile, TiffImagePlugin

from schemas.errors import InputError

_NEW_SUBFILE_TYPE: Final = 254  # bit 0: a smaller version; bit 2: a mask (TIFF 6.0, page 36)
_SUBFILE_TYPE: Final = 255  # 2: a smaller version
_PHOTOMETRIC: Final = 262  # 0: WhiteIsZero
_ORIENTATION: Final = 274
_SUB_IFDS: Final = 330
_DNG_VERSION: Final = 50706
_WIDTH, _HEIGHT = 256, 257
_HEADER: Final = 8
_MOST_BELOW: Final = 16
_CANON_AT, _CANON = 8, b"CR\2"


def pages_of(image: ImageFile.ImageFile, most: int) -> list[int]:
    """Numbers, from 0, of the pictures that are pages: no smaller versions of others, no masks.

    Args:
        image: open.
        most: pictures that a file may have.

    Raises:
        InputError: `unsupported_format`, for a camera's raw file: its first picture is a preview;
            `too_large`.
    """
    kinds = _kinds(image, most)
    image.seek(0)
    tags = _tags(image)
    is_small = not kinds[0] and (_SUB_IFDS in tags or _DNG_VERSION in tags)
    if is_small or _is_canon(image) or _has_larger(image):
        size = f"{image.width}x{image.height}"
        message = f"a camera's raw file; it holds a preview of {size}: export it as TIFF or JPEG"
        raise InputError("unsupported_format", message)
    return [number for number, is_page in enumerate(kinds) if is_page] or [0]


def _kinds(image: ImageFile.ImageFile, most: int) -> list[bool]:
    """Of each picture whether it is a page."""
    kinds: list[bool] = []
    while len(kinds) <= most:
        try:
            image.seek(len(kinds))
        except EOFError:
            return kinds
        kinds.append(_is_page(image))
    message = f"it has more than {most} pictures; split the file"
    raise InputError("too_large", message)


def _is_canon(image: ImageFile.ImageFile) -> bool:
    """Whether it is a CR2, whose previews are not marked as such."""
    file: Any = image.fp
    file.seek(_CANON_AT)
    return bool(file.read(len(_CANON)) == _CANON)


def _has_larger(image: ImageFile.ImageFile) -> bool:
    """Whether a picture hangs below the first one and is larger, as a sensor's values do."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return False
    file = cast("IO[bytes]", image.fp)
    file.seek(0)
    header = file.read(_HEADER)
    offsets = image.tag_v2.get(_SUB_IFDS, ())
    for offset in (offsets if isinstance(offsets, tuple) else (offsets,))[:_MOST_BELOW]:
        below = TiffImagePlugin.ImageFileDirectory_v2(header)
        try:
            file.seek(offset)
            below.load(file)
            sides = int(below.get(_WIDTH, 0)), int(below.get(_HEIGHT, 0))
        except (OSError, TypeError, ValueError, struct.error, SyntaxError):
            continue
        if sides[0] * sides[1] > image.width * image.height:
            return True
    return False


def frames_of(image: Image.Image) -> int:
    """How many pictures are in a file, of whatever kind."""
    return int(getattr(image, "n_frames", 1))


def orientation(image: Image.Image) -> int:
    """EXIF orientation, which Pillow applies to a TIFF by itself when it is loaded."""
    value = _tags(image).get(_ORIENTATION, 1)
    return int(value) if isinstance(value, int) else 1


def is_white_zero(image: Image.Image) -> bool:
    """Whether grey values count from white."""
    return bool(_tags(image).get(_PHOTOMETRIC) == 0)


def _is_page(image: Image.Image) -> bool:
    tags = _tags(image)
    return not tags.get(_NEW_SUBFILE_TYPE, 0) & 5 and tags.get(_SUBFILE_TYPE) != 2


def _tags(image: Image.Image) -> dict[int, Any]:
    return dict(image.tag_v2) if isinstance(image, TiffImagePlugin.TiffImageFile) else {}

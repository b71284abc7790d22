"""TIFF: which of the pictures in a file are its pages, and what their tags say of the values."""

from typing import Any, Final

from PIL import Image, TiffImagePlugin

from schemas.errors import InputError

_NEW_SUBFILE_TYPE: Final = 254  # bit 0: a smaller version; bit 2: a mask (TIFF 6.0, page 36)
_SUBFILE_TYPE: Final = 255  # 2: a smaller version
_PHOTOMETRIC: Final = 262  # 0: WhiteIsZero
_ORIENTATION: Final = 274
_SUB_IFDS: Final = 330
_DNG_VERSION: Final = 50706


def pages_of(image: Image.Image) -> list[int]:
    """Numbers, from 0, of the pictures that are pages: no smaller versions of others, no masks.

    Raises:
        InputError: `unsupported_format`, for a camera's raw file: its first picture is a preview.
    """
    kinds = []
    for number in range(frames_of(image)):
        image.seek(number)
        kinds.append(_is_page(image))
    image.seek(0)
    tags = _tags(image)
    if not kinds[0] and (_SUB_IFDS in tags or _DNG_VERSION in tags):
        size = f"{image.width}x{image.height}"
        message = f"a camera's raw file; it holds a preview of {size}: export it as TIFF or JPEG"
        raise InputError("unsupported_format", message)
    return [number for number, is_page in enumerate(kinds) if is_page] or [0]


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

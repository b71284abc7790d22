"""TIFF: which of the pictures in a file are its pages, and what their tags say of the values."""

from itertools import islice
from typing import Any, BinaryIO, Final

from PIL import Image, TiffImagePlugin

from pipeline.decode.directories import (
    DNG_VERSION,
    NEW_SUBFILE_TYPE,
    PHOTOMETRIC,
    SUB_DIRECTORIES,
    SUBFILE_TYPE,
    Tags,
    below,
    directories,
)
from pipeline.decode.plan import Limits
from pipeline.decode.sniff import RAW_FILE
from schemas.errors import InputError

TIFF: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_CANON_AT: Final = slice(8, 10)  # CR2: a mark behind the header
_LESSER: Final = 1 | 4  # bits: a smaller version; a mask (TIFF 6.0, page 36)
_SMALLER: Final = 2  # by the tag before that one
_SENSOR: Final = (32803, 34892)  # photometric: a filter's mosaic, linear raw
_ORIENTATION: Final = 274


def pages_of(file: BinaryIO, limits: Limits) -> tuple[list[int], int]:
    """Which pictures of a TIFF are pages: no smaller versions of others, no masks.

    Returns:
        Their numbers, from 0, and how many pictures are in the chain.

    Raises:
        InputError: `unsupported_format`, a camera's raw file: what could be read is a preview of
            the photograph. `too_large`.
    """
    found = list(islice(directories(file), limits.pages + 1))
    if len(found) > limits.pages:
        message = f"it has more than {limits.pages} pictures; split the file"
        raise InputError("too_large", message)
    if _is_raw(file, found):
        raise InputError("unsupported_format", RAW_FILE)
    return [number for number, tags in enumerate(found) if _is_page(tags)] or [0], len(found)


def orientation(image: Image.Image) -> int:
    """EXIF orientation, which Pillow applies to a TIFF by itself when it is loaded."""
    value = _tags(image).get(_ORIENTATION, 1)
    return int(value) if isinstance(value, int) else 1


def is_white_zero(image: Image.Image) -> bool:
    """Whether grey values count from white."""
    return bool(_tags(image).get(PHOTOMETRIC) == 0)


def _is_raw(file: BinaryIO, chain: list[Tags]) -> bool:
    file.seek(0)
    if file.read(_CANON_AT.stop)[_CANON_AT] == b"CR":
        return True
    first = chain[0] if chain else {}
    if not _is_page(first) and (SUB_DIRECTORIES in first or DNG_VERSION in first):
        return True
    return any(
        one.get(PHOTOMETRIC, (0,))[0] in _SENSOR
        for tags in chain
        for one in (tags, *below(file, tags))
    )


def _is_page(tags: Tags) -> bool:
    is_lesser = tags.get(NEW_SUBFILE_TYPE, (0,))[0] & _LESSER
    return not is_lesser and tags.get(SUBFILE_TYPE, (0,))[0] != _SMALLER


def _tags(image: Image.Image) -> dict[int, Any]:
    return dict(image.tag_v2) if isinstance(image, TiffImagePlugin.TiffImageFile) else {}

"""Deep: colours of 16 bits, of which Pillow gives the upper 8 alone, by the bits that they use.

Cameras and microscopes store 10 to 14 bits in 16, as they do of grey (see `colour`): the upper 8
of those are near black.
"""

import sys
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

_FEW: Final = 1 << 6  # an upper byte below it belongs to a number of 14 bits or fewer
_STRIP_PIXELS: Final = 1 << 22
# How Pillow unpacks the upper bytes, and how it would unpack the lower ones.
_SWAPPED: Final = {";16B": ";16L", ";16L": ";16B"}
_SWAPPED_NATIVE: Final = ";16B" if sys.byteorder == "little" else ";16L"
_LOWER: Final = {
    kind + upper: kind + lower
    for kind in ("RGB", "RGBA", "RGBX")
    for upper, lower in {**_SWAPPED, ";16N": _SWAPPED_NATIVE}.items()
} | {"LA;16B": "RGBA"}  # all four bytes of a pixel: the lower one of grey is the second


def spread(image: ImageFile.ImageFile, reopen: Callable[[], ImageFile.ImageFile]) -> None:
    """Spread the colours of a loaded image over all 8 bits, where they use few of 16.

    Args:
        image: loaded; it is changed.
        reopen: gives the same picture once more, not loaded; called only for one that is dark.
    """
    if image.format not in ("PNG", "TIFF") or image.mode not in ("RGB", "RGBA"):
        return
    most = max(int(high) for _, high in _extremes(image)[:3])
    if most >= _FEW:
        return
    again = reopen()
    kinds = {_kind(tile.args) for tile in again.tile}
    if kinds and kinds <= _LOWER.keys():
        again.tile = [tile._replace(args=_lower(tile.args)) for tile in again.tile]
        again.load()
        _write(image, again, 8 + most.bit_length(), is_grey="LA;16B" in kinds)


def _write(image: Image.Image, lower: Image.Image, bits: int, *, is_grey: bool) -> None:
    """Write 8 of so many bits over the upper bytes; alpha stays."""
    step = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, step):
        box = (0, top, image.width, min(top + step, image.height))
        upper, more = np.array(image.crop(box)), np.asarray(lower.crop(box))
        more = more[..., 1:2] if is_grey else more[..., :3]
        upper[..., :3] = _eight(upper[..., :3], more, bits)
        image.paste(Image.fromarray(upper, image.mode), box)


def _eight(upper: NDArray[np.uint8], lower: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    whole = (upper.astype(np.uint32) << 8) + lower
    return (whole * 255 // ((1 << bits) - 1)).astype(np.uint8)


def _extremes(image: Image.Image) -> tuple[tuple[float, float], ...]:
    found: Any = image.getextrema()  # of one band it is a pair alone; these have three or four
    return tuple(found)


def _kind(arguments: Any) -> str:  # noqa: ANN401 - each codec has its own
    """How pixels are unpacked: the first argument of a decoder, or the only one."""
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)


def _lower(arguments: Any) -> Any:  # noqa: ANN401
    if isinstance(arguments, tuple):
        return (_LOWER[_kind(arguments)], *arguments[1:])
    return _LOWER[arguments]

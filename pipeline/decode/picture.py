"""Picture: an image to the bytes that a shard keeps: resized, encoded, hashed."""

from io import BytesIO
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from pipeline.vlm.preprocess import smart_resize

_JPEG: Final[dict[str, Any]] = {"format": "JPEG", "quality": 95, "subsampling": 0}
_PNG: Final[dict[str, Any]] = {"format": "PNG", "compress_level": 3}
_BLANK_SPREAD: Final = 3.0
_NOISE: Final = 12


def on_white(image: Image.Image) -> Image.Image:
    """Any mode to RGB, transparency on white, 16 bits scaled to 8."""
    if image.mode in ("I;16", "I;16B", "I;16L", "I", "F"):
        values = np.asarray(image).astype(np.float64)
        scale = 255 / 65535 if values.max(initial=0) > 255 else 1.0
        return Image.fromarray((values * scale).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation."""
    return ImageOps.exif_transpose(image)


def picture_row(
    image: Image.Image,
    *,
    min_pixels: int,
    max_pixels: int,
    lossless: bool,
    stretch: float = 1.0,
) -> dict[str, Any]:
    """The picture columns of a shard's row.

    Args:
        image: RGB.
        min_pixels: least area of the result.
        max_pixels: largest area of the result.
        lossless: PNG for pages, JPEG for frames.
        stretch: pixel aspect ratio, displayed width over stored width.

    Raises:
        InputError: `aspect_ratio`.
    """
    shown = max(1, round(image.width * stretch))
    height, width = smart_resize(image.height, shown, min_pixels=min_pixels, max_pixels=max_pixels)
    resized = image.resize((width, height), Image.Resampling.BICUBIC)
    buffer = BytesIO()
    resized.save(buffer, **(_PNG if lossless else _JPEG))
    return {
        "width": width,
        "height": height,
        "phash": difference_hash(resized),
        "is_blank": is_blank(image),
        "image": buffer.getvalue(),
    }


def pixels(encoded: bytes) -> NDArray[np.uint8]:
    """Decode a shard's picture, `uint8 (height, width, 3)`. Ours, so no sandbox is needed."""
    with Image.open(BytesIO(encoded), formats=("PNG", "JPEG")) as image:
        return np.asarray(image.convert("RGB"))


def difference_hash(image: Image.Image) -> int:
    """64-bit hash of the signs of horizontal differences in a 9 x 8 thumbnail, as signed int."""
    small = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX)).astype(np.int16)
    bits = (small[:, 1:] > small[:, :-1]).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big", signed=True)


def is_blank(image: Image.Image) -> bool:
    """Whether nothing is to be seen: one tone all over, but for noise.

    Models invent text on blank pages, so these never reach one. A single line of small print on
    an A4 page is some thousandth of its pixels: the share of pixels away from the median decides.
    """
    grey = np.asarray(image.convert("L"))
    away = np.abs(grey.astype(np.int16) - int(np.median(grey))) > _NOISE
    return bool(away.mean() < 2e-5 and grey.std() < _BLANK_SPREAD)

"""Picture: an image to the bytes that a shard keeps: resized, encoded, hashed."""

from collections.abc import Iterator
from io import BytesIO
from math import isqrt
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from pipeline.decode.colour import Colours
from pipeline.vlm.preprocess import check_aspect, resize, smart_resize

MOST_PIXELS: Final = 9_000_000
"""Of a kept picture: four pages of A4 at 150 dots an inch."""
_DRAWN: Final = {"RGB": 0.75, "L": 0.5, "P": 0.5}
"""Bytes a pixel up to which a lossless picture is kept so; photographs have more."""
_SMALL: Final = 1 << 17  # pixels, of which all are encoded as soon as some
_HEAD: Final = 512  # bytes, of a file of whatever size
_JPEG: Final[dict[str, Any]] = {"format": "JPEG", "quality": 90, "subsampling": 0}
_PNG: Final[dict[str, Any]] = {"format": "PNG", "compress_level": 3}
_GREYS: Final = bytes(grey for grey in range(256) for _ in "RGB")
_NOISE: Final = 16
_STRIP_PIXELS: Final = 1 << 23


def picture_row(
    image: Image.Image,
    *,
    width: int,
    lossless: bool,
    shown: tuple[int, int] | None = None,
) -> dict[str, Any]:
    """The picture columns of a shard's row.

    Args:
        image: RGB.
        width: of the result at the most.
        lossless: PNG, which suits drawn pages, unless the picture is none of that; else JPEG.
        shown: width and height as displayed, if pixels are not square; rules the result's shape.

    Raises:
        InputError: `aspect_ratio`.
    """
    size = kept_size(shown or image.size, width)
    check_aspect(*size)
    resized = image if image.size == size else image.resize(size, Image.Resampling.BICUBIC)
    return {
        "width": size[0],
        "height": size[1],
        "phash": perceptual_hash(resized),
        "is_blank": is_blank(image),
        "image": _encoded(resized, lossless=lossless),
    }


def kept_size(size: tuple[int, int], width: int) -> tuple[int, int]:
    """Width and height at which a picture is kept: its own, or as large as can be."""
    wide, high = size
    scale = min(1.0, width / wide, (MOST_PIXELS / (wide * high)) ** 0.5)
    return max(1, round(wide * scale)), max(1, round(high * scale))


def model_picture(encoded: bytes, *, min_pixels: int, max_pixels: int) -> NDArray[np.uint8]:
    """What the model sees of a kept picture, `uint8 (height, width, 3)`: the same in every mode.

    Raises:
        InputError: `aspect_ratio`.
    """
    kept = pixels(encoded)
    size = smart_resize(*kept.shape[:2], min_pixels=min_pixels, max_pixels=max_pixels)
    return resize(kept, *size)


def _encoded(image: Image.Image, *, lossless: bool) -> bytes:
    is_small = image.width * image.height <= _SMALL
    if lossless and (is_small or _as_drawn(_middle(image))):  # which is quick to tell
        whole = _as_drawn(image)
        if whole is not None:
            return whole
    buffer = BytesIO()
    image.save(buffer, **_JPEG)
    return buffer.getvalue()


def _middle(image: Image.Image) -> Image.Image:
    width, height = (max(1, side // 4) for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def _as_drawn(image: Image.Image) -> bytes | None:
    """The picture as PNG, unless it is a photograph."""
    for one in _candidates(image):
        buffer = BytesIO()
        one.save(buffer, **_PNG)
        if buffer.tell() <= one.width * one.height * _DRAWN[one.mode] + _HEAD:
            return buffer.getvalue()
    return None


def _candidates(image: Image.Image) -> Iterator[Image.Image]:
    """The picture; a grey one as numbers of greys, quick and small, or as a channel if shaded."""
    red, green, blue = image.split()
    if any(ImageChops.difference(red, one).getbbox() for one in (green, blue)):
        yield image
        return
    numbers = red.copy()
    numbers.putpalette(_GREYS)
    yield numbers
    yield red


def pixels(encoded: bytes) -> NDArray[np.uint8]:
    """Decode a shard's picture, `uint8 (height, width, 3)`. Ours, so no sandbox is needed."""
    with Image.open(BytesIO(encoded), formats=("PNG", "JPEG")) as image:
        return np.asarray(image.convert("RGB"))


def rgb_within(image: Image.Image, pixels: int, colours: Colours) -> Image.Image:
    """The image in sRGB, by strips and shrunk by a whole factor where it is huge.

    A picture of 178 M pixels would need 2 GB at once as RGBA and RGB. What is handed on still has
    at least `4 * pixels` pixels, so the last, bicubic step decides the quality.
    """
    factor = isqrt(image.width * image.height // (4 * pixels))
    factor = min(factor, image.width, image.height)
    if factor < 2:
        return colours.managed(colours.flat(image), image.mode)
    width, height = -(-image.width // factor), -(-image.height // factor)
    small = Image.new("RGB", (width, height))
    step = factor * max(1, _STRIP_PIXELS // (image.width * factor))
    for top in range(0, image.height, step):
        strip = image.crop((0, top, image.width, min(top + step, image.height)))
        small.paste(colours.flat(strip).reduce(factor), (0, top // factor))
    return colours.managed(small, image.mode)


def perceptual_hash(image: Image.Image) -> int:
    """64 signs of the lowest frequencies of a 32 x 32 thumbnail, as a signed integer.

    A discrete cosine transform, each coefficient of the lowest 8 x 8 against their median, as in
    C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010.
    """
    grey = image.convert("L").resize((32, 32), Image.Resampling.BOX)
    low = (_COSINES @ np.asarray(grey, dtype=np.float64) @ _COSINES.T).ravel()
    low = np.round(low, 6)
    bits = low > np.sort(low[1:])[31]
    return int.from_bytes(np.packbits(bits).tobytes(), "big", signed=True)


def _cosines() -> NDArray[np.float64]:
    at, frequency = np.arange(32), np.arange(8)[:, None]
    return np.cos(np.pi * (2 * at + 1) * frequency / 64)


_COSINES: Final = _cosines()


def is_blank(image: Image.Image) -> bool:
    """Whether nothing is to be seen: one tone all over, but for noise.

    Models invent text on blank pages, so these never reach one. A single full stop is no noise:
    no pixel may be further than `_NOISE` of 255 from the median.
    """
    few = image.resize((64, 64), Image.Resampling.NEAREST).convert("L")
    if np.ptp(np.asarray(few)) > 2 * _NOISE:  # so whatever the median is, one is further away
        return False
    counts = np.asarray(image.convert("L").histogram())
    median = int(np.searchsorted(counts.cumsum(), counts.sum() / 2))
    return int(counts[max(0, median - _NOISE) : median + _NOISE + 1].sum()) == int(counts.sum())

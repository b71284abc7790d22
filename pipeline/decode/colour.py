"""Colour: the values that an image file holds, as 8 bits of sRGB on an opaque background."""

from collections.abc import Callable
from io import BytesIO
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

_SAMPLED: Final = 1 << 22  # pixels that the choice of a background looks at
_SPACES: Final = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_FAINT: Final = 1 / 16  # numbers below it are none of an image whose white is 1
_STEPS: Final = 256
_NARROW: Final = 1 / 16  # share of all values that a measured range takes at the most
_LIGHT, _DARK, _SEEN = 223, 64, 32  # of 255; of the grey value, and of alpha
_SRGB: Final = ImageCms.createProfile("sRGB")

Values = NDArray[np.generic]


class Colours:
    """How one image becomes RGB; the same for all strips of it."""

    def __init__(self, image: Image.Image, *, inverted: bool = False) -> None:
        """Look at a whole image.

        Args:
            image: loaded.
            inverted: whether its deep grey values count from white (TIFF 6.0, WhiteIsZero).
        """
        self._scale = _scale(image, inverted) if _is_deep(image) else None
        self._background = _background(image) if image.has_transparency_data else None
        self._transform = _transform(image)

    def flat(self, part: Image.Image) -> Image.Image:
        """A strip of the image, opaque in RGB; not yet in sRGB, see `managed`."""
        if self._scale:
            return Image.fromarray(self._scale(np.asarray(part))).convert("RGB")
        if self._background:
            return _on(self._background, part)
        if part.mode in ("CMYK", "LAB") and self._transform:
            return _applied(self._transform, part)
        return part.convert("RGB")

    def managed(self, flat: Image.Image, mode: str) -> Image.Image:
        """What `flat` gave, or a smaller version, in sRGB by the profile in the file.

        Args:
            flat: RGB.
            mode: of the image that it was made from.
        """
        if self._transform is None or mode in ("CMYK", "LAB"):
            return flat
        source = flat.convert(str(self._transform.input_mode))
        return _applied(self._transform, source)


def opaque(image: Image.Image) -> Image.Image:
    """A frame `RGBA` as RGB, on a background on which what it shows is seen."""
    return _on(_background(image), image)


def _on(background: str, image: Image.Image) -> Image.Image:
    below = Image.new("RGBA", image.size, background)
    return Image.alpha_composite(below, image.convert("RGBA")).convert("RGB")


def _is_deep(image: Image.Image) -> bool:
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def _scale(image: Image.Image, inverted: bool) -> Callable[[Values], NDArray[np.uint8]]:
    """How deep values become 8 bits: by the bits that the whole image uses, or by its range.

    Cameras store 10 to 14 bits in 16; heights and measurements have a range of their own, as the
    temperatures of a room have, which would be one grey; what differs by less than a step of 8 bits
    is noise.
    """
    low, high = _extremes(image)
    base, top = low, high
    is_float = image.mode == "F"
    if low >= 0 and _FAINT < high <= 1 and is_float:
        base, top = 0.0, 1.0
    elif low >= 0 and high < 1 << 16 and (not is_float or high > 1):
        white = float((1 << max(8, int(high).bit_length())) - 1)
        if not 1 / _STEPS < (high - low) / white < _NARROW:
            base, top = 0.0, white
    factor = 255.0 / ((top - base) or 1.0)

    def scale(values: Values) -> NDArray[np.uint8]:
        numbers = np.nan_to_num(values.astype(np.float32), nan=base, posinf=top, neginf=base)
        grey = ((numbers - base) * factor).clip(0, 255).astype(np.uint8)
        return 255 - grey if inverted else grey

    return scale


def _extremes(image: Image.Image) -> tuple[float, float]:
    """The least and the largest finite value; 0 and 0 without any."""
    values = np.asarray(image)
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)


def _background(image: Image.Image) -> str:
    """White; where what is seen is mostly white itself, black, or grey if some of it is dark."""
    factor = max(1, round((image.width * image.height / _SAMPLED) ** 0.5))
    size = max(1, image.width // factor), max(1, image.height // factor)
    sample = image.resize(size, Image.Resampling.NEAREST).convert("RGBA")
    grey, alpha = np.asarray(sample.convert("L")), np.asarray(sample.getchannel("A"))
    seen = grey[alpha > _SEEN]
    if seen.size in (0, grey.size) or np.mean(seen > _LIGHT) <= 0.5:
        return "white"
    return "black" if np.mean(seen < _DARK) < 0.02 else "#808080"


def _transform(image: Image.Image) -> ImageCms.ImageCmsTransform | None:
    """To sRGB by the image's ICC profile, unless that is damaged or of another colour space."""
    data = image.info.get("icc_profile")
    try:
        if image.mode == "LAB":
            return _to_srgb(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), "LAB")
        if not data or _is_deep(image):
            return None
        profile = ImageCms.ImageCmsProfile(BytesIO(data))
        mode = _SPACES.get(profile.profile.xcolor_space.strip())
        is_cmyk = image.mode == "CMYK"
        return _to_srgb(profile, mode) if mode and (mode == "CMYK") == is_cmyk else None
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return None


def _to_srgb(profile: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    return ImageCms.buildTransform(profile, _SRGB, mode, "RGB", intent, flags)


def _applied(transform: ImageCms.ImageCmsTransform, image: Image.Image) -> Image.Image:
    changed = ImageCms.applyTransform(image, transform)
    assert changed is not None
    return changed

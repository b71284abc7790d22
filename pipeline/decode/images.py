"""Images: stills and multi-page files, by Pillow, inside the child."""

from collections.abc import Collection, Iterator
from math import isqrt
from typing import BinaryIO, Final, cast

from PIL import ExifTags, Image, ImageFile

from pipeline.decode.animation import Animation
from pipeline.decode.pages import Row, cut_pages
from pipeline.decode.picture import picture_row, rgb_within, upright
from pipeline.decode.pillow import image_errors
from pipeline.decode.plan import DecodePlan, Limits
from schemas.errors import InputError
from schemas.shards import MediaInfo, PageFailure, Shard

_FORMATS: Final = ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "MPO")
_DEGREES: Final = {3: 180, 4: 180, 5: 90, 6: 90, 7: 270, 8: 270}


def open_picture(
    file: BinaryIO, limits: Limits, skip: Collection[int] = ()
) -> "Animation | Picture":
    """Open an image file; an animation is a video.

    Args:
        file: the image.
        limits: pixels, pages and bytes.
        skip: numbers of pictures that have failed before.

    Raises:
        InputError: `truncated`, `corrupt` or `too_large`.
    """
    with image_errors(limits):
        image = Image.open(file, formats=_FORMATS)
        if image.format in ("GIF", "PNG", "WEBP") and getattr(image, "n_frames", 1) > 1:
            return Animation(image, limits)
        return Picture(image, limits, skip)


class Picture:
    """An open image file of one or more still pictures."""

    def __init__(self, image: ImageFile.ImageFile, limits: Limits, skip: Collection[int]) -> None:
        """Count the pictures.

        Raises:
            InputError: `too_large`.
        """
        self._image, self._limits, self._skip = image, limits, skip
        # A phone's MPO holds a second view of the same picture, not a second page.
        self._count = int(getattr(image, "n_frames", 1)) if image.format == "TIFF" else 1
        if self._count > limits.pages:
            message = f"{self._count} pictures are more than {limits.pages}; split the file"
            raise InputError("too_large", message)

    def info(self) -> MediaInfo:
        """Facts of the medium."""
        width, height = self._image.size
        rotation = _DEGREES.get(self._orientation(), 0)
        if rotation % 180:
            width, height = height, width
        name = str(self._image.format).lower()
        mode = self._image.mode
        return MediaInfo("image", name, mode, width, height, rotation, pages=self._count)

    def shards(self, plan: DecodePlan) -> Iterator[Shard | PageFailure | int]:
        """Decode the pictures as pages.

        Raises:
            InputError: the only picture cannot be read.
        """
        for message in cut_pages(self._count, plan, self._limits, self._skip, self._row):
            if isinstance(message, PageFailure) and self._count == 1:
                raise InputError(message.code, message.message)
            yield message

    def _row(self, number: int, plan: DecodePlan) -> Row:
        with image_errors(self._limits):
            self._image.seek(number - 1)
            orientation = self._orientation()
            _shrink_while_reading(self._image, plan.max_pixels)
            self._image.load()
            image = upright(rgb_within(self._image, plan.max_pixels), orientation)
        row = picture_row(
            image, min_pixels=plan.min_pixels, max_pixels=plan.max_pixels, lossless=True
        )
        rotation = _DEGREES.get(orientation, 0)
        facts = {"page_no": number, "width_pt": None, "height_pt": None, "rotation": rotation}
        return {**facts, "text": "", **row}

    def _orientation(self) -> int:
        return int(self._image.getexif().get(ExifTags.Base.Orientation, 1))


def _shrink_while_reading(image: Image.Image, pixels: int) -> None:
    """Let a JPEG be decoded at a half, a quarter or an eighth where it stays large enough."""
    factor = isqrt(image.width * image.height // (4 * pixels))
    if image.format == "JPEG" and factor > 1:
        cast("ImageFile.ImageFile", image).draft(
            None, (image.width // factor, image.height // factor)
        )

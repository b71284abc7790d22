"""Images: stills and multi-page files, by Pillow, inside the child."""

from collections.abc import Collection, Iterator
from math import isqrt
from typing import BinaryIO, Final, cast

from PIL import Image, ImageFile

from pipeline.decode.animation import Animation
from pipeline.decode.colour import Colours
from pipeline.decode.deep import spread
from pipeline.decode.orientation import DEGREES, TURNED, exif_orientation, upright
from pipeline.decode.pages import Row, cut_pages
from pipeline.decode.picture import picture_row, rgb_within
from pipeline.decode.pillow import image_errors
from pipeline.decode.plan import DecodePlan, Limits
from pipeline.decode.sniff import HEAD_BYTES
from pipeline.decode.tga import has_alpha, is_tga
from pipeline.decode.tiff import TIFF, is_white_zero, pages_of
from pipeline.decode.tiff import orientation as tiff_orientation
from schemas.errors import InputError
from schemas.shards import MediaInfo, MediaWarning, PageFailure, Shard

_FORMATS: Final = (
    *("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"),  # a phone's MPO is read as JPEG
    *("AVIF", "HEIF", "JPEG2000", "PPM", "ICO"),
)
_ANIMATED: Final = ("GIF", "PNG", "WEBP", "AVIF")
_MOST_OBLONG: Final = 4  # sides of a pixel


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
        file.seek(0)
        head = file.read(HEAD_BYTES)
        # Pillow opens no TIFF whose first picture is raw, and would not say so.
        pages = pages_of(file, limits) if head.startswith(TIFF) else ([0], 1)
        file.seek(0)
        # Pillow would take much for a TGA.
        image = Image.open(file, formats=("TGA",) if is_tga(head) else _FORMATS)
        if image.format in _ANIMATED and getattr(image, "n_frames", 1) > 1:
            return Animation(image, limits)
        return Picture(image, file, pages, limits, skip)


class Picture:
    """An open image file of one or more still pictures."""

    def __init__(
        self,
        image: ImageFile.ImageFile,
        file: BinaryIO,
        pages: tuple[list[int], int],
        limits: Limits,
        skip: Collection[int],
    ) -> None:
        """Take an image that is open.

        Args:
            image: of whatever format.
            file: that it is in.
            pages: numbers of the pictures that are pages, and how many pictures there are. A
                phone's MPO holds a second view of the same picture, not a second page.
            limits: pixels and bytes.
            skip: numbers of pictures that have failed before.
        """
        self._image, self._file, self._limits, self._skip = image, file, limits, skip
        self._pages, self._pictures = pages
        self._count = len(self._pages)

    def info(self) -> MediaInfo:
        """Facts of the medium."""
        orientation = self._orientation()
        width, height = self._shown(orientation)
        name = str(self._image.format).lower()
        rotation = DEGREES.get(orientation, 0)
        mode = self._image.mode
        return MediaInfo("image", name, mode, width, height, rotation, pages=self._count)

    def shards(self, plan: DecodePlan) -> Iterator[Shard | PageFailure | MediaWarning | int]:
        """Decode the pictures as pages.

        Raises:
            InputError: the only picture cannot be read.
        """
        yield from self._left_out()
        for message in cut_pages(self._count, plan, self._limits, self._skip, self._row):
            if isinstance(message, PageFailure) and self._count == 1:
                raise InputError(message.code, message.message)
            yield message

    def _left_out(self) -> Iterator[MediaWarning]:
        """Pictures in the file that are no pages."""
        if more := self._pictures - self._count:
            yield MediaWarning("not_read", f"{more} smaller versions or masks of its pictures")
        if "mpoffset" in self._image.info:
            yield MediaWarning("not_read", "a second view of the picture, or its map of gains")

    def _row(self, number: int, plan: DecodePlan) -> Row:
        image = self._image
        with image_errors(self._limits):
            image.seek(self._pages[number - 1])
            orientation = self._orientation()
            shown = self._shown(orientation)
            inverted = is_white_zero(image)
            _shrink_while_reading(image, plan.width**2)
            image.load()
            self._drop_what_is_no_alpha()
            spread(image, lambda: self._again(number))
            made = rgb_within(image, plan.width**2, Colours(image, inverted=inverted))
            if image.format != "TIFF":  # Pillow turns those by itself
                made = upright(made, orientation)
        row = picture_row(
            made,
            width=plan.width,
            lossless=True,
            shown=shown,
        )
        rotation = DEGREES.get(orientation, 0)
        facts = {"page_no": number, "width_pt": None, "height_pt": None, "rotation": rotation}
        return {**facts, "text": "", "lines": [], **row}

    def _drop_what_is_no_alpha(self) -> None:
        if self._image.format == "TGA" and self._image.mode in ("RGBA", "LA"):
            self._file.seek(0)
            if not has_alpha(self._file.read(HEAD_BYTES)):
                self._image.putalpha(255)

    def _again(self, number: int) -> ImageFile.ImageFile:
        """A picture of the file, opened once more."""
        self._file.seek(0)
        image = Image.open(self._file, formats=(str(self._image.format),))
        image.seek(self._pages[number - 1])
        return image

    def _orientation(self) -> int:
        if self._image.format == "TIFF":
            return tiff_orientation(self._image)
        with image_errors(self._limits):
            return exif_orientation(self._image)

    def _shown(self, orientation: int) -> tuple[int, int]:
        """Width and height as displayed: upright, in square pixels; those of a fax are oblong."""
        across, down = _density(self._image)
        width, height = self._image.size
        if orientation in TURNED:
            across, down = down, across
            if self._image.format != "TIFF":  # whose size is that of the turned picture already
                width, height = height, width
        if across > down:
            return width, round(height * across / down)
        return round(width * down / across), height


def _density(image: Image.Image) -> tuple[float, float]:
    """Pixels a unit of length, across and down; 1 and 1 where that is not plausible."""
    for name in ("dpi", "aspect", "resolution"):
        across, down = map(float, image.info.get(name) or (0, 0))
        if across > 0 and down > 0 and 1 / _MOST_OBLONG <= across / down <= _MOST_OBLONG:
            return across, down
    return 1.0, 1.0


def _shrink_while_reading(image: Image.Image, pixels: int) -> None:
    """Let a JPEG be decoded at a half, a quarter or an eighth where it stays large enough."""
    factor = isqrt(image.width * image.height // (4 * pixels))
    if image.format == "JPEG" and factor > 1:
        cast("ImageFile.ImageFile", image).draft(
            None, (image.width // factor, image.height // factor)
        )

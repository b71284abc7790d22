"""Orientation: how an image file says it is turned and mirrored for display (EXIF, tag 274)."""

from typing import Final

from PIL import ExifTags, Image, ImageOps

TURNED: Final = range(5, 9)
"""Orientations that change width and height."""
DEGREES: Final = {3: 180, 4: 180, 5: 90, 6: 90, 7: 270, 8: 270}
"""The turn of each orientation, clockwise; without the mirror."""


def exif_orientation(image: Image.Image) -> int:
    """EXIF orientation of an image, 1 to 8; any other number means nothing."""
    found = image.getexif().get(ExifTags.Base.Orientation, 1)
    return int(found) if found in range(1, 9) else 1


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """Apply an EXIF orientation, 1 to 8."""
    image.getexif()[ExifTags.Base.Orientation] = orientation
    return ImageOps.exif_transpose(image)

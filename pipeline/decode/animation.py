"""Animation: GIF, PNG and WebP that move, by Pillow, as a source of frames, inside the child."""

from collections.abc import Generator, Iterator
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from pipeline.decode.colour import Colours
from pipeline.decode.orientation import DEGREES, TURNED, exif_orientation, upright
from pipeline.decode.pillow import image_errors
from pipeline.decode.plan import DecodePlan, Limits
from pipeline.decode.segments import Cues, cut_segments
from pipeline.decode.source import Presented, Wanted
from schemas.errors import InputError
from schemas.shards import MediaInfo, MediaWarning, Shard

_SHORTEST_MS: Final = 10
_INSTEAD_MS: Final = 100
"""Browsers show a frame that asks for 10 ms or less for 100 ms (HTML leaves it open)."""


class Animation:
    """An open animated image; a `Source` in milliseconds."""

    time_base = Fraction(1, 1000)
    can_seek = False
    first = 0

    def __init__(self, image: ImageFile.ImageFile, limits: Limits) -> None:
        """Check its size.

        Raises:
            InputError: `too_large`.
        """
        self._image, self._limits = image, limits
        self._orientation = exif_orientation(image)
        self.end = 0
        # The first image of a PNG may be a substitute for who shows no animation.
        self._begins = int(bool(image.info.get("default_image")))
        if image.width * image.height > limits.frame_pixels:
            message = f"frames of {image.width}x{image.height} are above {limits.frame_pixels}"
            raise InputError("too_large", message + " pixels; scale it down")

    def info(self) -> MediaInfo:
        """Facts of the medium."""
        width, height = self._image.size
        if self._orientation in TURNED:
            width, height = height, width
        name = str(self._image.format).lower()
        rotation = DEGREES.get(self._orientation, 0)
        return MediaInfo("video", name, name, width, height, rotation)

    def shards(self, plan: DecodePlan) -> Iterator[Shard | MediaWarning | int]:
        """Decode, sample and cut.

        Raises:
            InputError: `truncated`, `corrupt` or `too_large`.
        """
        if self._begins:
            yield MediaWarning("not_read", "a still image for who shows no animation")
        yield from cut_segments(self, plan, self._limits, Cues())

    def frames(self, at: int = 0, wanted: Wanted | None = None) -> Iterator[Presented]:
        """All frames; each needs those before it, so neither argument changes anything.

        Raises:
            InputError: `truncated`, `corrupt` or `too_large`.
        """
        tick = 0
        for index in range(self._begins, int(getattr(self._image, "n_frames", 1))):
            if index >= self._limits.frames:
                message = f"more than {self._limits.frames} frames; cut the animation"
                raise InputError("too_large", message)
            with image_errors(self._limits):
                self._image.seek(index)
                picture = self._shown()
                duration = int(self._image.info.get("duration") or 0)
            self.end = tick + (duration if duration > _SHORTEST_MS else _INSTEAD_MS)
            yield _presented(tick, index == self._begins, picture)
            tick = self.end

    def _shown(self) -> Image.Image:
        """The present frame as a still would look; each chooses its own background to be seen."""
        self._image.load()
        colours = Colours(self._image)
        flat = colours.managed(colours.flat(self._image), self._image.mode)
        return upright(flat, self._orientation)

    def ticks(self) -> Generator[None, None, list[int]]:
        """Times of all frames."""
        times = []
        for frame in self.frames():
            times.append(frame.tick)
            yield
        return times


def _presented(tick: int, is_key: bool, picture: Image.Image) -> Presented:
    def thumbnail(width: int, height: int) -> NDArray[np.uint8]:
        return np.asarray(picture.resize((width, height), Image.Resampling.BOX))

    return Presented(tick, tick, is_key, lambda: picture, thumbnail)

"""Images: stills, multi-page files and animations, by Pillow, inside the child."""

import warnings
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from typing import Any, BinaryIO

import pyarrow as pa
from PIL import Image, UnidentifiedImageError

from pipeline.decode.picture import on_white, picture_row, upright
from pipeline.decode.plan import DecodePlan, Limits
from pipeline.decode.segments import Cues, Presented, count_targets, cut_segments, rate_targets
from schemas.errors import InputError
from schemas.shards import PAGES, MediaInfo, Shard, UnitFailure

_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "MPO")
_MILLI = Fraction(1, 1000)
_DEFAULT_DURATION_MS = 100


class Picture:
    """An open image file of one or more pictures."""

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        """Open it; nothing is decoded yet.

        Raises:
            InputError: `corrupt` or `too_large`.
        """
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        Image.MAX_IMAGE_PIXELS = limits.image_pixels
        self._limits = limits
        try:
            self._image = Image.open(file, formats=_FORMATS)
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            message = f"has more than {limits.image_pixels} pixels; scale it down"
            raise InputError("too_large", message) from error
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
            message = f"the image cannot be opened ({error}); fetch or export it again"
            raise InputError("corrupt", message) from error
        self._count = int(getattr(self._image, "n_frames", 1))
        if self._count > limits.pages:
            message = f"{self._count} pictures are more than {limits.pages}; split the file"
            raise InputError("too_large", message)

    @property
    def is_animated(self) -> bool:
        """Whether the pictures follow one another in time."""
        return self._count > 1 and self._image.format in ("GIF", "PNG", "WEBP")

    def info(self) -> MediaInfo:
        """Facts of the medium."""
        width, height = self._image.size
        orientation = self._image.getexif().get(0x0112, 1)
        if orientation in (5, 6, 7, 8):
            width, height = height, width
        rotation = {3: 180, 6: 90, 8: 270}.get(orientation, 0)
        kind, name = str(self._image.format).lower(), self._image.mode
        if self.is_animated:
            return MediaInfo("video", kind, kind, width, height, duration_us=None)
        return MediaInfo("image", kind, name, width, height, rotation, pages=self._count)

    def shards(self, plan: DecodePlan) -> Iterator[Shard | UnitFailure]:
        """Decode the pictures as pages, or as frames where they move.

        Raises:
            InputError: for an animation, or where the only picture is bad.
        """
        if self.is_animated:
            yield from self._frames(plan)
            return
        for part in range(plan.first_part, -(-self._count // plan.pages_per_part)):
            first = part * plan.pages_per_part + 1
            stop = min(first + plan.pages_per_part, self._count + 1)
            rows: list[dict[str, Any]] = []
            for number in range(first, stop):
                try:
                    rows.append(self._row(number, plan))
                except InputError as error:
                    if self._count == 1:
                        raise
                    yield UnitFailure(part, number, error.code, error.message)
            yield Shard(part, first, stop, pa.RecordBatch.from_pylist(rows, schema=PAGES))

    def _row(self, number: int, plan: DecodePlan) -> dict[str, Any]:
        image = on_white(upright(self._decoded(number - 1)))
        return {
            "page_no": number,
            "width_pt": None,
            "height_pt": None,
            "rotation": 0,
            "text": "",
            **picture_row(
                image, min_pixels=plan.min_pixels, max_pixels=plan.max_pixels, lossless=True
            ),
        }

    def _decoded(self, index: int) -> Image.Image:
        """One picture; shrunk while it is read where that saves memory."""
        try:
            self._image.seek(index)
            width, height = self._image.size
            if width * height > self._limits.image_pixels:
                message = f"{width}x{height} is above {self._limits.image_pixels} pixels"
                raise InputError("too_large", message + "; scale it down")
            self._image.load()
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            message = f"has more than {self._limits.image_pixels} pixels; scale it down"
            raise InputError("too_large", message) from error
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            message = f"the image is cut short or damaged ({error}); fetch it again"
            raise InputError("truncated", message) from error
        return self._image

    def _frames(self, plan: DecodePlan) -> Iterator[Shard]:
        starts = self._starts()
        last = starts[-1] * _MILLI
        if plan.sampling.mode == "count":
            targets = count_targets(int(plan.sampling.value), last)
        else:  # animations are short: scenes are sampled at one frame a second
            targets = rate_targets(plan.sampling.value or 1.0)
        presented = (
            Presented(pts, _MILLI, pts * _MILLI, index == 0, partial(self._rgb, index))
            for index, pts in enumerate(starts)
        )
        yield from cut_segments(presented, targets, plan, self._limits, Cues())

    def _rgb(self, index: int) -> Image.Image:
        return on_white(self._decoded(index))

    def _starts(self) -> list[int]:
        """Presentation time of each picture, milliseconds."""
        starts, at = [], 0
        for index in range(self._count):
            self._decoded(index)
            starts.append(at)
            at += int(self._image.info.get("duration") or _DEFAULT_DURATION_MS)
        return starts

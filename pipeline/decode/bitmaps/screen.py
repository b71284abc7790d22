"""Screen: what a subtitle track shows from a time on, whatever format it is of."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.decode.picture import MOST_PIXELS

COLOURS: Final = 256
Grey = NDArray[np.uint8]


class RefusedError(ValueError):
    """What a track says is damaged, or larger than any player would show."""


@dataclass(frozen=True)
class Palette:
    """Brightness and opacity of each index, `uint8 (256)`; what is not set is transparent."""

    luma: Grey
    alpha: Grey

    @classmethod
    def of(cls, entries: Sequence[tuple[int, int, int]]) -> "Palette":
        """A palette of indices with their brightness and opacity, 0 to 255."""
        luma, alpha = np.zeros((2, COLOURS), np.uint8)
        for index, light, opacity in entries:
            luma[index], alpha[index] = light, opacity
        return cls(luma, alpha)


@dataclass(frozen=True)
class Bitmap:
    """Indices `uint8 (height, width)` at a place of the screen, pixels from its top left."""

    x: int
    y: int
    indices: Grey
    palette: Palette


@dataclass(frozen=True)
class Screen:
    """What is shown.

    Attributes:
        at: from when on, microseconds on the clock.
        size: width and height of the whole, pixels, which the video is scaled to.
        key: equal where the same is shown again; None where nothing is shown.
        draw: gives what is shown, and raises what a damaged one does.
        until: when it is gone if nothing follows before, microseconds; None if that is not said.
    """

    at: int
    size: tuple[int, int]
    key: Hashable = None
    draw: Callable[[], list[Bitmap]] = list
    until: int | None = None


def drawn_at(at: int, size: tuple[int, int], bitmaps: list[Bitmap], until: int | None) -> Screen:
    """A screen of bitmaps that are drawn already; of nothing if none of them is seen."""
    seen = [one for one in bitmaps if one.palette.alpha[one.indices].any()]
    if not seen:
        return Screen(at, size)
    key = tuple(
        (one.x, one.y, one.indices.shape, one.indices.tobytes(), (one.palette.alpha > 0).tobytes())
        for one in seen
    )
    return Screen(at, size, key, lambda: seen, until)


class Decoder(Protocol):
    """The state of one track."""

    def feed(self, at: int, data: bytes) -> Iterator[Screen]:
        """What the data of a packet change on the screen; `at` in microseconds on the clock.

        Raises:
            ValueError, IndexError, struct.error: they are damaged.
            RefusedError: they are too large.
        """


MakeDecoder = Callable[[bytes, tuple[int, int]], Decoder]
"""Makes the decoder of a track of what its container says of it, and of the video's size."""


def checked(size: tuple[int, int]) -> tuple[int, int]:
    """The width and height of a bitmap or a screen.

    Raises:
        RefusedError: it is none, or more than can be kept.
    """
    if not 0 < size[0] * size[1] <= MOST_PIXELS:
        message = f"{size[0]}x{size[1]} pixels"
        raise RefusedError(message)
    return size

"""Source: what moving pictures look like to sampling, whatever library decodes them."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MICRO: Final = 1_000_000

Wanted = Callable[[int, int], bool]
"""Whether a frame is looked at that is shown from one time on until another, ticks."""


@dataclass(frozen=True)
class Presented:
    """A decoded frame at its presentation time.

    Attributes:
        tick: time since the medium's start, in the source's time base.
        pts: the container's own time, in the time base.
        is_key: whether it is a key frame.
        image: converts the frame to RGB, upright.
        thumbnail: `uint8 (height, width, 3)` of the given width and height, any orientation.
        shown: gives width and height as displayed, upright; None for square pixels.
    """

    tick: int
    pts: int
    is_key: bool
    image: Callable[[], Image.Image]
    thumbnail: Callable[[int, int], NDArray[np.uint8]]
    shown: Callable[[], tuple[int, int]] | None = None


@dataclass(frozen=True)
class Visit:
    """A frame that decoding came past; a picture only if it is kept, under its number."""

    tick: int
    kept: Presented | None = None
    number: int = 0


def unseen(*_: int) -> NoReturn:
    """The picture of a frame that was not wanted.

    Raises:
        LookupError: always.
    """
    message = "this frame was not wanted, so it was not decoded"
    raise LookupError(message)


class Source(Protocol):
    """A video of one library."""

    @property
    def time_base(self) -> Fraction:
        """Seconds of a tick."""

    @property
    def can_seek(self) -> bool:
        """Whether starting late is cheaper than starting at the beginning."""

    @property
    def first(self) -> int:
        """Tick of the first frame."""

    @property
    def end(self) -> int:
        """Tick at which the last of the frames that were given ceases to be shown."""

    def frames(self, at: int = 0, wanted: Wanted | None = None) -> Iterator[Presented]:
        """All frames in order of presentation, from one at or before tick `at` on.

        Those that are not wanted may have no picture; None wants all.
        """

    def ticks(self) -> Generator[None, None, list[int]]:
        """Times of all frames, in order, as the generator's return; yields as it gets on."""


def microseconds(seconds: Fraction) -> int:
    """Seconds to the nearest microsecond."""
    return microseconds_of(1, seconds)


def microseconds_of(tick: int, base: Fraction) -> int:
    """A time to the nearest microsecond, half to even as `round`; in whole numbers, for each frame.

    Args:
        tick: the time.
        base: seconds of a tick.
    """
    whole, rest = divmod(tick * base.numerator * MICRO, base.denominator)
    return whole + (2 * rest + (whole & 1) > base.denominator)

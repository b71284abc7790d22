"""Tiles: pieces of a picture, of sides that the recogniser reads at full size.

It shrinks what is longer until nobody can read it, and raises on what is very oblong: a chat on a
phone as one long picture, a banner. So a long picture is cut across where least stands.
"""

from collections.abc import Iterator
from itertools import pairwise, product
from typing import Final

import numpy as np
from numpy.typing import NDArray

LONGEST: Final = 2000  # pixels a side: what is longer, the library shrinks
_SHORTEST: Final = 64  # pixels a side ...
_OBLONG: Final = 4  # ... and of the longer side one part in so many: the library enlarges the rest
_WHITE: Final = 255
_GAP: Final = 9  # pixels, of a gap between lines

Picture = NDArray[np.uint8]


def tiles(picture: Picture) -> Iterator[tuple[int, int, Picture]]:
    """Pieces that cover a picture `uint8 (height, width, 3)`: left and top edge, and pixels.

    A narrow one is made wider by white at its right, a low one higher by white at its bottom.
    """
    rows, columns = (list(pairwise(_cuts(picture, axis))) for axis in (0, 1))
    for (top, bottom), (left, right) in product(rows, columns):
        yield left, top, _padded(picture[top:bottom, left:right])


def _cuts(picture: Picture, axis: int) -> list[int]:
    """Where to cut along an axis, both ends too."""
    cuts, length = [0], picture.shape[axis]
    while length - cuts[-1] > LONGEST:
        first = cuts[-1] + LONGEST // 2
        band = np.moveaxis(picture, axis, 0)[first : cuts[-1] + LONGEST]
        spread = band.reshape(len(band), -1).std(axis=1)
        quiet = np.convolve(spread, np.ones(_GAP), "valid")  # the middle of a gap, not its edge
        cuts.append(first + _GAP // 2 + len(quiet) - 1 - int(quiet[::-1].argmin()))
    return [*cuts, length]


def _padded(piece: Picture) -> Picture:
    least = max(_SHORTEST, max(piece.shape) // _OBLONG)
    missing = [max(least - side, 0) for side in piece.shape[:2]]
    if not any(missing):
        return piece
    return np.pad(piece, ((0, missing[0]), (0, missing[1]), (0, 0)), constant_values=_WHITE)

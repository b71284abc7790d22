"""Legible: bitmaps of subtitles as dark letters on white, which is what a recogniser reads best."""

from collections.abc import Sequence
from io import BytesIO
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.decode.bitmaps.screen import Bitmap, Grey

MARGIN: Final = 100
"""Pixels of white around what is visible: the recogniser enlarges low pictures many times over,
which takes it long, and short words in them it now and then takes to stand on their head."""
_SOLID: Final = 0.25  # of full contrast: what differs by less is rim, not letter
_FEW: Final = 0.03  # of what is visible: letters cover more
Box = tuple[int, int, int, int]


def legible(bitmaps: Sequence[Bitmap], size: tuple[int, int]) -> tuple[Box, bytes] | None:
    """What is visible on a screen: x0, y0, x1, y1 in pixels, and a grey PNG; None if nothing is.

    Letters mostly have a rim, so that they are seen on any picture. On the colour of the rim only
    they remain; letters without one remain on nothing.

    Args:
        bitmaps: in the order in which they are drawn.
        size: width and height of the screen.
    """
    (left, top), luma, alpha = _composed(bitmaps, size)
    rows, columns = (np.flatnonzero(alpha.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return None
    x0, y0, x1, y1 = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    inside = slice(y0, y1), slice(x0, x1)
    ink = _ink(luma[inside].astype(np.float32), alpha[inside].astype(np.float32))
    grey = np.pad(255 - ink, MARGIN, constant_values=255).astype(np.uint8)
    buffer = BytesIO()
    Image.fromarray(grey).save(buffer, format="PNG", compress_level=3)
    return (left + x0, top + y0, left + x1, top + y1), buffer.getvalue()


def _composed(
    bitmaps: Sequence[Bitmap], size: tuple[int, int]
) -> tuple[tuple[int, int], Grey, Grey]:
    """The part of the screen with bitmaps: its corner, brightness and opacity.

    What reaches beyond the screen is not seen.
    """
    left = min((one.x for one in bitmaps), default=0)
    top = min((one.y for one in bitmaps), default=0)
    right = min(size[0], max((one.x + one.indices.shape[1] for one in bitmaps), default=0))
    bottom = min(size[1], max((one.y + one.indices.shape[0] for one in bitmaps), default=0))
    luma, alpha = np.zeros((2, max(bottom - top, 0), max(right - left, 0)), np.uint8)
    for one in bitmaps:
        indices = one.indices[: max(bottom - one.y, 0), : max(right - one.x, 0)]
        rows = slice(one.y - top, one.y - top + indices.shape[0])
        place = rows, slice(one.x - left, one.x - left + indices.shape[1])
        seen = one.palette.alpha[indices] > 0
        luma[place][seen] = one.palette.luma[indices][seen]
        alpha[place][seen] = one.palette.alpha[indices][seen]
    return (left, top), luma, alpha


def _ink(luma: NDArray[np.float32], alpha: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much each pixel belongs to a letter, 0 to 255."""
    seen = np.pad(alpha > 0, 1)
    within = seen[:-2, 1:-1] & seen[2:, 1:-1] & seen[1:-1, :-2] & seen[1:-1, 2:]
    rim = alpha * ~within
    apart = np.abs(luma - (luma * rim).sum() / rim.sum()) * alpha / 255
    letters = apart > _SOLID * alpha.max()
    ink = apart if letters.sum() > _FEW * (alpha > 0).sum() else alpha
    return np.asarray(ink * (255 / ink.max()), np.float32)

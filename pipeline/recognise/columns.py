"""Columns: lines that were found through two columns of prose, cut where the gap between them is.

Where the gap is hardly wider than a line is high, as in papers, the detector now and then takes a
line of both columns for one.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.recognise.order import Corners, straight

_FEW: Final = 4  # lines that a column has at least
_MARGIN: Final = 0.4  # heights by which the detector draws a line too long
_LONG: Final = 6.0  # heights: a line of prose is longer
_GAP: Final = 0.5  # heights: wider than the space between two words
_INK: Final = 48  # of 255: what differs by less is paper

Picture = NDArray[np.uint8]


def parted(picture: Picture, lines: Sequence[Corners]) -> list[Corners]:
    """Lines with those in two that lie across a gap that other lines keep.

    Args:
        picture: `uint8 (height, width, 3)`.
        lines: of each its corners from the top left on, clockwise.
    """
    spans = [(one[:, 0].min(), one[:, 0].max()) for one in straight(lines)]
    heights = [float(np.hypot(*(one[3] - one[0]))) for one in lines]
    gap = _gap(spans, heights)
    if gap is None:
        return list(lines)
    shown: list[Corners] = []
    for line, (left, right), height in zip(lines, spans, heights, strict=True):
        share = (gap - left) / max(right - left, 1.0)
        reach = min(gap - left, right - gap)
        place = _blank(picture, line, share, height) if reach > _LONG * height else None
        shown += [line] if place is None else _halves(line, place)
    return shown


def _gap(spans: Sequence[tuple[float, float]], heights: Sequence[float]) -> float | None:
    """Where two columns of long lines leave the page free, but for some that cross it."""
    prose = [
        (left + _MARGIN * height, right - _MARGIN * height)
        for (left, right), height in zip(spans, heights, strict=True)
        if right - left > _LONG * height
    ]
    if len(prose) < 2 * _FEW:
        return None
    least, most = min(left for left, _ in prose), max(right for _, right in prose)
    places = np.arange(least + (most - least) / 4, most - (most - least) / 4)
    lefts, rights = np.array(prose).T
    over = [int(((lefts < place) & (rights > place)).sum()) for place in places]
    if not over:
        return None
    clear = places[np.array(over) == min(over)]
    middle = float(clear[len(clear) // 2])
    before, behind = int((rights <= middle).sum()), int((lefts >= middle).sum())
    return middle if min(before, behind) >= max(_FEW, min(over)) else None


def _blank(picture: Picture, line: Corners, share: float, height: float) -> float | None:
    """Share of a line's length at which paper shows through it, near the one that is expected."""
    (x0, y0), (x1, y1) = line[0], line[1]
    low, high = int(min(y0, y1)), int(max(line[2][1], line[3][1]))
    expected = x0 + share * (x1 - x0)
    first = max(0, int(expected - 1.5 * height))
    strip = picture[max(0, low) : high, first : int(expected + 1.5 * height)].mean(axis=2)
    if not strip.size:
        return None
    is_paper = np.ptp(strip[strip.shape[0] // 5 : -(strip.shape[0] // 5) or None], axis=0) < _INK
    edges = np.flatnonzero(np.diff(np.concatenate(([0], is_paper, [0]))))
    runs = [(end - start, start) for start, end in zip(edges[::2], edges[1::2], strict=True)]
    longest, start = max(runs, default=(0, 0))
    if longest < _GAP * height:
        return None
    return float((first + start + longest / 2 - x0) / max(x1 - x0, 1.0))


def _halves(line: Corners, share: float) -> list[Corners]:
    """A line cut at a share of its length."""
    top = line[0] + share * (line[1] - line[0])
    bottom = line[3] + share * (line[2] - line[3])
    return [np.array([line[0], top, bottom, line[3]]), np.array([top, line[1], line[2], bottom])]

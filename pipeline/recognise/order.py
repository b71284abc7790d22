"""Order: boxes on a page in the order in which people read them, column by column.

The X-Y cut of G. Nagy and S. Seth, "Hierarchical representation of optically scanned documents",
1984: a page is cut where nothing stands. Only columns of prose are read one after the other; the
cells of a table are read row by row.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Corners = NDArray[np.float64]
"""Four points of a line, `(4, 2)`."""
Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels."""
_REACH: Final = 0.5
"""Heights of a line by which boxes reach into the gap between columns at the most."""
_ASKEW: Final = 10.0
"""Degrees by which a scan is turned at the most; what is turned further is no line of its text."""
_INDENT: Final = 3
"""Heights of a line by which a paragraph begins further in at the most."""
_PROSE: Final = 6
"""Least length of a column's lines, in their heights."""


def straight(lines: Sequence[Corners]) -> list[Corners]:
    """Corners of lines as they would be on a page that lies straight, as no scan does.

    Args:
        lines: of each its corners from the top left on, clockwise, `(4, 2)` in pixels.
    """
    if not lines:
        return []
    edges = np.array([(one[1] - one[0]) + (one[2] - one[3]) for one in lines])
    turned = np.degrees(np.arctan2(edges[:, 1], edges[:, 0]))
    sides = np.hypot(*edges.T) / 2
    heights = np.array([np.hypot(*(one[3] - one[0])) for one in lines])
    level = (np.abs(turned) < _ASKEW) & (sides > _PROSE * heights)
    if not level.any():
        return list(lines)
    # Short lines do not know the angle; half of all length is turned less than the median.
    ranked = np.argsort(turned[level])
    lengths = sides[level][ranked].cumsum()
    angle = turned[level][ranked][int(np.searchsorted(lengths, lengths[-1] / 2))]
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    back = np.array([[cosine, -sine], [sine, cosine]])
    return [one @ back for one in lines]


def reading_order(boxes: Sequence[Box]) -> list[int]:
    """Indices of boxes as they are read: left to right, from the top."""
    return _ordered(boxes, list(range(len(boxes))))


def _ordered(boxes: Sequence[Box], some: list[int]) -> list[int]:
    if len(some) < 2:
        return some
    if columns := _columns(boxes, some):
        return [index for part in columns for index in _ordered(boxes, part)]
    rows = _cut(boxes, some, 1, 0)
    blocks: list[list[int]] = []
    for row in rows:
        if blocks and _goes_on(boxes, blocks[-1], row):
            blocks[-1] = [*blocks[-1], *row]
        else:
            blocks.append(row)
    if len(blocks) < 2:
        return _row(boxes, some)
    return [index for block in blocks for index in _block(boxes, block)]


def _block(boxes: Sequence[Box], block: list[int]) -> list[int]:
    """What stands between two cuts across: columns, or one row."""
    if columns := _columns(boxes, block):
        return [index for part in columns for index in _ordered(boxes, part)]
    return _row(boxes, block)


def _row(boxes: Sequence[Box], some: list[int]) -> list[int]:
    """By columns where all stand beside each other, else by their tops."""
    is_one = max(boxes[one][1] for one in some) < min(boxes[one][3] for one in some)
    return sorted(some, key=lambda one: (0 if is_one else boxes[one][1], boxes[one][0]))


def _goes_on(boxes: Sequence[Box], block: list[int], row: list[int]) -> bool:
    """Whether a row belongs to the columns of the block before it, or makes columns with it.

    A short line that stands apart is a page's number; what begins further in than a paragraph does
    stands in no column.
    """
    if not (columns := _columns(boxes, block)):
        return bool(_columns(boxes, [*block, *row]))
    spans = [
        (min(boxes[one][0] for one in part), max(boxes[one][2] for one in part)) for part in columns
    ]
    slack = _middle(boxes[one][3] - boxes[one][1] for one in block)
    gap = min(boxes[one][1] for one in row) - max(boxes[one][3] for one in block)
    if len(row) == 1 and gap > slack and not _is_prose(boxes, row):
        return False
    return all(
        any(
            left - slack <= boxes[one][0] <= left + _INDENT * slack
            and boxes[one][2] <= right + slack
            for left, right in spans
        )
        for one in row
    )


def _columns(boxes: Sequence[Box], some: list[int]) -> list[list[int]]:
    """The columns of prose that boxes stand in, or nothing."""
    if len(some) < 4:
        return []
    height = _middle(boxes[one][3] - boxes[one][1] for one in some)
    parts = _cut(boxes, some, 0, -2 * _REACH * height)
    is_prose = len(parts) > 1 and all(len(part) > 1 and _is_prose(boxes, part) for part in parts)
    return parts if is_prose else []


def _is_prose(boxes: Sequence[Box], part: list[int]) -> bool:
    height = _middle(boxes[one][3] - boxes[one][1] for one in part)
    return _middle(boxes[one][2] - boxes[one][0] for one in part) > _PROSE * height


def _cut(boxes: Sequence[Box], some: list[int], axis: int, gap: float) -> list[list[int]]:
    """Cut across an axis wherever more than a gap lies between what stands before and behind.

    A gap below 0 lets them reach into each other.
    """
    parts: list[list[int]] = []
    end = float("-inf")
    for index in sorted(some, key=lambda one: boxes[one][axis]):
        if not parts or boxes[index][axis] > end + gap:
            parts.append([])
        parts[-1].append(index)
        end = max(end, boxes[index][axis + 2])
    return parts


def _middle(values: Iterable[int]) -> int:
    found = sorted(values)
    return found[len(found) // 2]

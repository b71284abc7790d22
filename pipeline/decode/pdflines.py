"""PDF lines: the lines of a page's own text, with their places on it."""

import re
from collections.abc import Iterator, Sequence
from ctypes import c_double, c_int
from itertools import islice
from typing import Any, Final, TypeAlias

import numpy as np
import pypdfium2.raw as raw
from numpy.typing import NDArray

from pipeline.decode.pdfobjects import bounds, objects

_WHOLE: Final = 1 << 20  # device units a side: places come out as whole numbers of them
_MOST: Final = 100_000  # lines of a page, and characters of one
_SCAN: Final = 0.5  # share of a page that its picture covers, at least
_LITTLE: Final = 200  # characters: a stamp or a page number on a scan
_HYPHENS: Final = "\x02\ufffe"  # a word goes on in the next line
_END: Final = re.compile(f"[\r\n{_HYPHENS}]")

Boxes: TypeAlias = NDArray[np.float64]


def page_lines(page: Any, layer: Any, letters: str) -> list[dict[str, Any]]:  # noqa: ANN401
    """Lines of the text layer; none of a scan that has little more than a stamp.

    Args:
        page: a `pypdfium2.PdfPage`.
        layer: its `PdfTextPage`.
        letters: of `layer_letters`.

    Returns:
        Text, and x0, y0, x1, y1 as shares of the page's width and height as it is shown.
    """
    if len(letters) < _LITTLE and _is_scan(page):
        return []
    texts, boxes, firsts = _boxes(layer, letters)
    if not texts:
        return []
    places = _shown(page, _around(boxes, firsts))
    found = (
        {"text": text, "x0": x0, "y0": y0, "x1": x1, "y1": y1}
        for text, (x0, y0, x1, y1) in zip(texts, places.tolist(), strict=True)
        if x0 < 1 and y0 < 1 and x1 > 0 and y1 > 0
    )
    return list(islice(found, _MOST))


def _lines(letters: str) -> Iterator[tuple[str, int, int]]:
    """Lines as pdfium cuts them: the text, where it begins, and how many letters it has."""
    start = 0
    for end in _END.finditer(letters + "\n"):
        index = end.start()
        text = " ".join(letters[start : min(index, start + _MOST)].replace("\0", "").split())
        text += "-" if end[0] in _HYPHENS else ""
        if text:
            yield text, start, index - start
        start = index + 1


def _boxes(layer: Any, letters: str) -> tuple[list[str], Boxes, list[int]]:  # noqa: ANN401
    """The lines that have boxes: of their letters' runs, or of each letter where there is no run.

    A page of a book has hundreds, so they are plain numbers until all are there.

    Returns:
        Texts, x0, y0, x1, y1 of all boxes (n, 4) in units of the page, and the first of each line.
    """
    left, top, right, bottom = c_double(), c_double(), c_double(), c_double()
    texts: list[str] = []
    firsts: list[int] = []
    sides: list[float] = []
    for text, start, count in _lines(letters):
        first = len(sides)
        for run in range(raw.FPDFText_CountRects(layer.raw, start, count)):
            if raw.FPDFText_GetRect(layer.raw, run, left, top, right, bottom):
                sides += left.value, bottom.value, right.value, top.value
        for index in range(start, start + count) if len(sides) == first else ():
            if raw.FPDFText_GetCharBox(layer.raw, index, left, right, bottom, top):
                sides += left.value, bottom.value, right.value, top.value
        if len(sides) > first:
            texts.append(text)
            firsts.append(first // 4)
    return texts, np.array(sides).reshape(-1, 4), firsts


def _around(boxes: Boxes, firsts: Sequence[int]) -> Boxes:
    """What is around the boxes of each line; empty ones count where a line has no other."""
    is_empty = (boxes[:, :2] >= boxes[:, 2:]).any(axis=1, keepdims=True)
    whole, seen = (
        np.hstack([np.fmin.reduceat(some[:, :2], firsts), np.fmax.reduceat(some[:, 2:], firsts)])
        for some in (boxes, np.where(is_empty, np.nan, boxes))
    )
    return np.where(np.isnan(seen), whole, seen)


def _shown(page: Any, places: Boxes) -> Boxes:  # noqa: ANN401
    """Places (n, 4) on the page as it is shown: cropped, turned, from the top left."""
    x0, y0, x1, y1 = page.get_bbox()
    origin = _device(page, x0, y0)
    turn = np.array([_device(page, x1, y0) - origin, _device(page, x0, y1) - origin])
    corners = (places.reshape(-1, 2) - (x0, y0)) / (x1 - x0, y1 - y0) @ turn + origin
    ends = corners.reshape(-1, 2, 2)
    return np.concatenate([ends.min(axis=1), ends.max(axis=1)], axis=1)


def _device(page: Any, x: float, y: float) -> NDArray[np.float64]:  # noqa: ANN401
    """Where a point of the page is shown, as shares of what is shown."""
    column, row = c_int(), c_int()
    raw.FPDF_PageToDevice(page.raw, 0, 0, _WHOLE, _WHOLE, 0, x, y, column, row)
    return np.array([column.value, row.value]) / _WHOLE


def _is_scan(page: Any) -> bool:  # noqa: ANN401
    """Whether one picture covers most of the page."""
    width, height = page.get_size()
    for one in objects(page, raw.FPDF_PAGEOBJ_IMAGE, depth=3):
        left, bottom, right, top = bounds(one)
        if (right - left) * (top - bottom) > _SCAN * width * height:
            return True
    return False

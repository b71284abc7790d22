"""PDF lines: the lines of a page's own text, with their places on it."""

import re
from collections.abc import Iterator
from ctypes import c_double, c_int
from itertools import islice
from typing import Any, Final

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

Place = tuple[float, float, float, float]


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
    found = list(_lines(layer, letters))
    if not found:
        return []
    texts, places = zip(*found, strict=True)
    keys = "text", "x0", "y0", "x1", "y1"
    rows = zip(texts, *_shown(page, np.array(places)).T.tolist(), strict=True)
    inside = (row for row in rows if max(row[1:3]) < 1 and min(row[3:]) > 0)
    return [dict(zip(keys, row, strict=True)) for row in islice(inside, _MOST)]


def _lines(layer: Any, letters: str) -> Iterator[tuple[str, Place]]:  # noqa: ANN401
    """Lines as pdfium cuts them, in units of the page."""
    start = 0
    for end in _END.finditer(letters + "\n"):
        index = end.start()
        text = " ".join(letters[start : min(index, start + _MOST)].replace("\0", "").split())
        text += "-" if end[0] in _HYPHENS else ""
        if text and (place := _place(layer, start, index - start)):
            yield text, place
        start = index + 1


def _place(layer: Any, start: int, count: int) -> Place | None:  # noqa: ANN401
    """The place of some letters: around the boxes of their runs, or of each where it has none."""
    left, right, bottom, top = c_double(), c_double(), c_double(), c_double()
    places: list[Place] = []
    for index in range(raw.FPDFText_CountRects(layer.raw, start, count)):
        if raw.FPDFText_GetRect(layer.raw, index, left, top, right, bottom):
            places.append((left.value, bottom.value, right.value, top.value))
    for index in range(start, start + count) if not places else ():
        if raw.FPDFText_GetCharBox(layer.raw, index, left, right, bottom, top):
            places.append((left.value, bottom.value, right.value, top.value))
    return _around(places) if places else None


def _around(places: list[Place]) -> Place:
    if len(places) == 1:
        return places[0]
    seen = [one for one in places if one[2] > one[0] and one[3] > one[1]] or places
    x0, y0, x1, y1 = zip(*seen, strict=True)
    return min(x0), min(y0), max(x1), max(y1)


def _shown(page: Any, places: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: ANN401
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

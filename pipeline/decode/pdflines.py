"""PDF lines: the lines of a page's own text, with their places on it."""

from collections.abc import Iterator
from ctypes import c_double, c_int
from typing import Any, Final

import pypdfium2.raw as raw

_WHOLE: Final = 1 << 20  # device units a side: places come out as whole numbers of them
_MOST: Final = 100_000  # lines of a page, and characters of one
_SCAN: Final = 0.5  # share of a page that its picture covers, at least
_LITTLE: Final = 200  # characters: a stamp or a page number on a scan
_ENDS: Final = frozenset((0x0A, 0x0D))
_UNSEEN: Final = frozenset((0, 0xFFFE))

Place = tuple[float, float, float, float]


def page_lines(page: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - pypdfium2 is untyped
    """Lines of the text layer as it is now; none of a scan that has little more than a stamp.

    Args:
        page: a `pypdfium2.PdfPage`.

    Returns:
        Text, and x0, y0, x1, y1 as shares of the page's width and height as it is shown.
    """
    textpage = page.get_textpage()
    try:
        count = raw.FPDFText_CountChars(textpage.raw)
        if count < _LITTLE and _is_scan(page):
            return []
        found = []
        for text, place in _lines(textpage, count):
            x0, y0, x1, y1 = _shown(page, place)
            if x0 < 1 and y0 < 1 and x1 > 0 and y1 > 0:  # else outside of what is shown
                found.append({"text": text, "x0": x0, "y0": y0, "x1": x1, "y1": y1})
        return found[:_MOST]
    finally:
        textpage.close()


def _lines(textpage: Any, count: int) -> Iterator[tuple[str, Place]]:  # noqa: ANN401
    """Lines as pdfium cuts them, in units of the page."""
    letters: list[str] = []
    places: list[Place] = []
    left, right, bottom, top = c_double(), c_double(), c_double(), c_double()
    for index in range(count + 1):
        code = raw.FPDFText_GetUnicode(textpage.raw, index) if index < count else 0x0A
        if code in _ENDS:
            text = " ".join("".join(letters[:_MOST]).split())
            if text and places:
                yield text, _around(places)
            letters, places = [], []
        elif code not in _UNSEEN:
            letters.append(_letter(code))
            if raw.FPDFText_GetCharBox(textpage.raw, index, left, right, bottom, top):
                places.append((left.value, bottom.value, right.value, top.value))


def _letter(code: int) -> str:
    return chr(code) if code < 0xD800 or 0xE000 <= code < 0x110000 else "\ufffd"


def _around(places: list[Place]) -> Place:
    seen = [one for one in places if one[2] > one[0] and one[3] > one[1]] or places
    lows, highs = zip(*((one[:2], one[2:]) for one in seen), strict=True)
    return (*map(min, zip(*lows, strict=True)), *map(max, zip(*highs, strict=True)))


def _shown(page: Any, place: Place) -> Place:  # noqa: ANN401
    """A place on the page as it is shown: cropped, turned, from the top left."""
    across, down = [], []
    for x, y in (place[:2], place[2:]):
        column, row = c_int(), c_int()
        raw.FPDF_PageToDevice(page.raw, 0, 0, _WHOLE, _WHOLE, 0, x, y, column, row)
        across.append(column.value / _WHOLE)
        down.append(row.value / _WHOLE)
    return min(across), min(down), max(across), max(down)


def _is_scan(page: Any) -> bool:  # noqa: ANN401
    """Whether one picture covers most of the page."""
    width, height = page.get_size()
    for one in page.get_objects([raw.FPDF_PAGEOBJ_IMAGE], max_depth=3):
        left, bottom, right, top = one.get_bounds()
        if (right - left) * (top - bottom) > _SCAN * width * height:
            return True
    return False

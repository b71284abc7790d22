"""PDF lines: the lines of a page's own text, with their places on it."""

from collections.abc import Iterator
from ctypes import c_double, c_int, c_ushort
from typing import Any, Final

import pypdfium2.raw as raw

from pipeline.decode.pdfobjects import bounds, objects

_WHOLE: Final = 1 << 20  # device units a side: places come out as whole numbers of them
_MOST: Final = 100_000  # lines of a page, and characters of one
_SCAN: Final = 0.5  # share of a page that its picture covers, at least
_LITTLE: Final = 200  # characters: a stamp or a page number on a scan
_ENDS: Final = frozenset((0x0A, 0x0D))
_HYPHENS: Final = frozenset((0x02, 0xFFFE))  # a word goes on in the next line

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
    codes, start = _codes(textpage, count), 0
    for index, code in enumerate([*codes, 0x0A]):
        if code not in _ENDS and code not in _HYPHENS:
            continue
        seen = (one for one in codes[start : min(index, start + _MOST)] if one)
        text = " ".join("".join(map(_letter, seen)).split())
        text += "-" if code in _HYPHENS else ""
        if text and (place := _place(textpage, start, index - start)):
            yield text, place
        start = index + 1


def _codes(textpage: Any, count: int) -> list[int]:  # noqa: ANN401
    """The letters, by their Unicode numbers: in one call, unless some have two units or none."""
    units = (c_ushort * (count + 1))()
    if raw.FPDFText_GetText(textpage.raw, 0, count, units) == count + 1:
        return units[:count]
    return [raw.FPDFText_GetUnicode(textpage.raw, index) for index in range(count)]


def _place(textpage: Any, start: int, count: int) -> Place | None:  # noqa: ANN401
    """The place of some letters: around the boxes of their runs, or of each where it has none."""
    left, right, bottom, top = c_double(), c_double(), c_double(), c_double()
    places: list[Place] = []
    for index in range(raw.FPDFText_CountRects(textpage.raw, start, count)):
        if raw.FPDFText_GetRect(textpage.raw, index, left, top, right, bottom):
            places.append((left.value, bottom.value, right.value, top.value))
    for index in range(start, start + count) if not places else ():
        if raw.FPDFText_GetCharBox(textpage.raw, index, left, right, bottom, top):
            places.append((left.value, bottom.value, right.value, top.value))
    return _around(places) if places else None


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
    for one in objects(page, raw.FPDF_PAGEOBJ_IMAGE, depth=3):
        left, bottom, right, top = bounds(one)
        if (right - left) * (top - bottom) > _SCAN * width * height:
            return True
    return False

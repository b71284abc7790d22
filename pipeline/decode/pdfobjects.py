"""PDF objects: what stands on a page, as pdfium's own handles: a page of a book has hundreds."""

from collections.abc import Iterator
from ctypes import c_float
from typing import Any

import pypdfium2.raw as raw


def objects(page: Any, kind: int, depth: int) -> Iterator[Any]:  # noqa: ANN401
    """Objects of a kind, also those in forms.

    Args:
        page: a `pypdfium2.PdfPage`.
        kind: such as `FPDF_PAGEOBJ_TEXT`.
        depth: 1 for those on the page itself, 2 for those in its forms too, and so on.
    """
    count = raw.FPDFPage_CountObjects(page.raw)
    found = (raw.FPDFPage_GetObject(page.raw, index) for index in range(count))
    yield from _below(found, kind, depth)


def bounds(one: Any) -> tuple[float, float, float, float]:  # noqa: ANN401
    """Left, bottom, right and top of an object in units of the page; nothing where unknown."""
    left, bottom, right, top = c_float(), c_float(), c_float(), c_float()
    if not raw.FPDFPageObj_GetBounds(one, left, bottom, right, top):
        return 0.0, 0.0, 0.0, 0.0
    return left.value, bottom.value, right.value, top.value


def _below(found: Iterator[Any], kind: int, depth: int) -> Iterator[Any]:
    for one in found:
        is_of = raw.FPDFPageObj_GetType(one)
        if is_of == kind:
            yield one
        elif is_of == raw.FPDF_PAGEOBJ_FORM and depth > 1:
            count = raw.FPDFFormObj_CountObjects(one)
            inside = (raw.FPDFFormObj_GetObject(one, index) for index in range(count))
            yield from _below(inside, kind, depth - 1)

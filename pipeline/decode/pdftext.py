"""PDF text: what a person can read on a page: its text layer, what was filled in, and notes.

Text outside the crop box and of layers that are off is in the file and not on the page.
"""

import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from ctypes import POINTER, addressof, c_ulong, c_ushort, cast, create_string_buffer
from typing import Any, Final

import numpy as np
import pypdfium2.raw as raw
from numpy.typing import NDArray

from pipeline.decode.pdfobjects import bounds, objects

_MAX_TEXT: Final = 1 << 20
_WESTERN: Final = bytes(range(128, 256)).decode("cp1252", errors="ignore")
_WIDER: Final = re.compile(f"[^\0-\x7f{_WESTERN}]")  # than the fonts that pdfium has of its own
_MAX_LAYERS: Final = 64  # of a page that are looked at
_LAYER_PIXELS: Final = 512  # of the longer side, to see whether a layer shows
_UNSEEN: Final = raw.FPDF_ANNOT_FLAG_HIDDEN | raw.FPDF_ANNOT_FLAG_NOVIEW
_WITHOUT_TEXT: Final = (raw.FPDF_ANNOT_LINK, raw.FPDF_ANNOT_POPUP)
_FILLED: Final = (
    raw.FPDF_FORMFIELD_TEXTFIELD,
    raw.FPDF_FORMFIELD_COMBOBOX,
    raw.FPDF_FORMFIELD_LISTBOX,
)


def remove_hidden(page: Any) -> None:  # noqa: ANN401 - pypdfium2 is untyped
    """Take text of layers that are off from a page that has been rendered."""
    for one in _hidden(page):
        if raw.FPDFPage_RemoveObject(page.raw, one):
            raw.FPDFPageObj_Destroy(one)


def page_text(page: Any, layer: Any) -> str:  # noqa: ANN401
    """The text of a page.

    Args:
        page: a `pypdfium2.PdfPage`.
        layer: its `PdfTextPage`.

    Returns:
        Lines with plain ends, without what no table can hold; values of fields and notes behind
        the text layer.
    """
    crop = page.get_cropbox()
    whole = crop == page.get_mediabox()
    text = layer.get_text_range() if whole else layer.get_text_bounded(*crop)
    return _clean("\n".join([str(text), *_notes(page)]).strip("\n"))


def layer_letters(layer: Any) -> str:  # noqa: ANN401
    """A letter for each of a `PdfTextPage`: in one call, unless some have two units or none."""
    count = raw.FPDFText_CountChars(layer.raw)
    units = (c_ushort * (count + 1))()
    if raw.FPDFText_GetText(layer.raw, 0, count, units) == count + 1:
        letters = bytes(units)[:-2].decode("utf-16-le", errors="replace")
        if len(letters) == count:
            return letters
    codes = (raw.FPDFText_GetUnicode(layer.raw, index) for index in range(count))
    return "".join(chr(code) if _is_letter(code) else "\ufffd" for code in codes)


def _is_letter(code: int) -> bool:
    return code < 0xD800 or 0xE000 <= code <= sys.maxunicode


def missing_fonts(
    page: Any,  # noqa: ANN401
    layer: Any,  # noqa: ANN401
    letters: str,
    seen: NDArray[np.uint8],
) -> set[str]:
    """Names of fonts that are not in the document and whose text cannot be seen.

    Args:
        page: a `pypdfium2.PdfPage`.
        layer: its `PdfTextPage`.
        letters: of `layer_letters`.
        seen: its picture, `uint8 (height, width, 3)`.
    """
    return {
        _name(font)
        for one in _wider(layer, letters)
        if (font := _absent_font(one)) is not None and _is_unseen(page, layer, one, seen)
    }


def _wider(layer: Any, letters: str) -> Iterator[Any]:  # noqa: ANN401
    """Objects of text that has more than western letters."""
    known = set()
    for found in _WIDER.finditer(letters):
        one = raw.FPDFText_GetTextObject(layer.raw, found.start())
        if one and addressof(one.contents) not in known:
            known.add(addressof(one.contents))
            yield one


def _absent_font(one: Any) -> Any:  # noqa: ANN401
    """The font of a text, unless the document holds it."""
    font = raw.FPDFTextObj_GetFont(one)
    return font if raw.FPDFFont_GetIsEmbedded(font) == 0 else None


def _name(font: Any) -> str:  # noqa: ANN401
    size = raw.FPDFFont_GetBaseFontName(font, None, 0)
    buffer = create_string_buffer(size)
    raw.FPDFFont_GetBaseFontName(font, buffer, size)
    return buffer.value.decode(errors="replace")


def _is_unseen(page: Any, layer: Any, one: Any, seen: NDArray[np.uint8]) -> bool:  # noqa: ANN401
    """Whether text beyond western letters has one tone in all of its place."""
    text = _wide_string(raw.FPDFTextObj_GetText, one, layer.raw)
    if not _WIDER.search(text.strip()) or page.get_rotation():
        return False
    left, bottom, right, top = bounds(one)
    x0, y0, x1, y1 = page.get_cropbox()
    high, wide = seen.shape[:2]
    columns = [round((x - x0) / (x1 - x0) * wide) for x in (left, right)]
    rows = [round((y1 - y) / (y1 - y0) * high) for y in (top, bottom)]
    place = seen[max(0, rows[0]) : rows[1] + 1, max(0, columns[0]) : columns[1] + 1]
    return place.size > 0 and bool((place == place[0, 0]).all())


def _hidden(page: Any) -> list[Any]:  # noqa: ANN401
    """Text of optional content that is off: the page looks the same without it."""
    layers: dict[bytes, list[Any]] = defaultdict(list)
    for one in objects(page, raw.FPDF_PAGEOBJ_TEXT, depth=1):
        if (layer := _layer(one)) is not None:
            layers[layer].append(one)
    if not layers or len(layers) > _MAX_LAYERS:
        return []
    before, hidden = _small(page), []
    for inside in layers.values():
        _activate(inside, False)
        if np.array_equal(before, _small(page)):
            hidden += inside
        _activate(inside, True)
    return hidden


def _layer(one: Any) -> bytes | None:  # noqa: ANN401
    """What tells the layer of an object from others; None if it is in none."""
    for number in range(raw.FPDFPageObj_CountMarks(one)):
        mark = raw.FPDFPageObj_GetMark(one, number)
        size = c_ulong()
        buffer = create_string_buffer(512)
        raw.FPDFPageObjMark_GetName(mark, _wide(buffer), 512, size)
        if _utf16(buffer.raw[: size.value]) == "OC":
            raw.FPDFPageObjMark_GetParamStringValue(mark, b"Name", _wide(buffer), 512, size)
            return buffer.raw[: size.value]
    return None


def _activate(some: list[Any], active: bool) -> None:
    for one in some:
        raw.FPDFPageObj_SetIsActive(one, active)


def _small(page: Any) -> NDArray[np.uint8]:  # noqa: ANN401
    bitmap = page.render(scale=_LAYER_PIXELS / max(page.get_size()))
    try:
        return np.array(bitmap.to_numpy())
    finally:
        bitmap.close()


def _notes(page: Any) -> Iterator[str]:  # noqa: ANN401
    """Values of a form's fields, and what annotations say, as far as they are shown."""
    form = page.parent.formenv
    for number in range(raw.FPDFPage_GetAnnotCount(page.raw)):
        note = raw.FPDFPage_GetAnnot(page.raw, number)
        try:
            kind = raw.FPDFAnnot_GetSubtype(note)
            if raw.FPDFAnnot_GetFlags(note) & _UNSEEN or kind in _WITHOUT_TEXT:
                continue
            if kind != raw.FPDF_ANNOT_WIDGET:
                text = _wide_string(raw.FPDFAnnot_GetStringValue, note, b"Contents")
            elif form and raw.FPDFAnnot_GetFormFieldType(form.raw, note) in _FILLED:
                text = _wide_string(raw.FPDFAnnot_GetFormFieldValue, form.raw, note)
            else:
                continue
        finally:
            raw.FPDFPage_CloseAnnot(note)
        if text.strip():
            yield text


def _wide_string(get: Any, *of: Any) -> str:  # noqa: ANN401
    """A text of pdfium's in UTF-16, whose length it says first."""
    size = get(*of, None, 0)
    buffer = create_string_buffer(size)
    get(*of, _wide(buffer), size)
    return _utf16(buffer)


def _wide(buffer: Any) -> Any:  # noqa: ANN401
    return cast(buffer, POINTER(c_ushort))


def _utf16(data: Any) -> str:  # noqa: ANN401
    return bytes(data).decode("utf-16-le", errors="replace").rstrip("\0")


def _clean(text: str) -> str:
    text = text[:_MAX_TEXT].replace("\r\n", "\n").replace("\r", "\n")
    return text.replace("\0", "").replace("\ufffe", "").encode(errors="replace").decode()

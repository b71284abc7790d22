"""Pages: documents to rendered pages with their own text, by pdfium, inside the child.

A hostile page aborts the process. So the child says which page comes next before it touches it,
and the parent goes on behind the page that killed it.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from math import sqrt
from typing import Any, BinaryIO, Final

import numpy as np
import pyarrow as pa
import pypdfium2 as pdfium
import pypdfium2.raw as raw
from PIL import Image

from pipeline.decode.pdflines import page_lines
from pipeline.decode.pdfsource import Stated, stated
from pipeline.decode.pdftext import layer_letters, missing_fonts, page_text, remove_hidden
from pipeline.decode.picture import MOST_PIXELS, picture_row
from pipeline.decode.plan import DecodePlan, Limits
from schemas.errors import InputError
from schemas.shards import PAGES, MediaInfo, MediaWarning, PageFailure, Shard

_PASSWORD_ERROR: Final = 4
_TAIL_BYTES: Final = 2048
_NAMED: Final = 8  # names in a warning
_WHITE: Final = (255, 255, 255, 255)
_XFA: Final = (raw.FORMTYPE_XFA_FULL, raw.FORMTYPE_XFA_FOREGROUND)

Row = dict[str, Any]


class Document:
    """An open PDF."""

    def __init__(self, file: BinaryIO, limits: Limits, skip: Collection[int] = ()) -> None:
        """Open it.

        Args:
            file: the document; read as it is needed.
            limits: pages and bytes.
            skip: page numbers that have failed before.

        Raises:
            InputError: `password_required`, `truncated`, `corrupt` or `too_large`.
        """
        self._file, self._limits, self._skip = file, limits, skip
        self._stated = Stated(1.0, may_have_layers=True)
        self._missing: set[str] = set()
        try:
            self._pdf = pdfium.PdfDocument(file)
            self._count = len(self._pdf)
        except pdfium.PdfiumError as error:
            raise _refusal(file, error) from error
        if self._count > limits.pages:
            message = f"{self._count} pages are more than {limits.pages}; split the document"
            raise InputError("too_large", message)
        if self._pdf.get_formtype():
            self._pdf.init_forms()  # so that what people filled in is drawn

    def info(self) -> MediaInfo:
        """Facts of the medium."""
        return MediaInfo("document", "pdf", "", 0, 0, pages=self._count)

    def shards(self, plan: DecodePlan) -> Iterator[Shard | PageFailure | MediaWarning | int]:
        """Render the pages.

        Yields:
            The number of each page before it is rendered; failed pages; a shard a part; warnings.
        """
        self._stated = stated(self._file)
        yield from self._not_read()
        yield from cut_pages(self._count, plan, self._limits, self._skip, self._row)
        if self._missing:
            names = ", ".join(sorted(self._missing)[:_NAMED])
            yield MediaWarning("font_missing", f"text in {names} cannot be seen; embed the fonts")

    def _not_read(self) -> Iterator[MediaWarning]:
        """What is in the document and on none of its pages."""
        if self._pdf.get_formtype() in _XFA:
            yield MediaWarning("not_read", "an XFA form; its pages may hold a substitute alone")
        if count := self._pdf.count_attachments():
            names = [self._pdf.get_attachment(n).get_name() for n in range(min(count, _NAMED))]
            text = ", ".join(repr(name) for name in names)
            yield MediaWarning("not_read", f"{count} attached files: {text}")

    def _row(self, number: int, plan: DecodePlan) -> Row:
        try:
            page = self._pdf[number - 1]
        except pdfium.PdfiumError as error:
            raise _failed(number, error) from error
        try:
            width, height = (side * self._stated.unit for side in page.get_size())
            image = _rendered(page, *_asked(width, height, plan))
            picture = picture_row(image, width=image.width, lossless=True)
            rotation = page.get_rotation()
            if self._stated.may_have_layers:
                remove_hidden(page)
            with closing(page.get_textpage()) as layer:
                letters = layer_letters(layer)
                text, lines = page_text(page, layer), page_lines(page, layer, letters)
                self._missing |= missing_fonts(page, layer, letters, np.asarray(image))
            picture["is_blank"] = picture["is_blank"] and not text.strip()
            size = {"width_pt": width, "height_pt": height, "rotation": rotation}
            return {"page_no": number, **size, "text": text, "lines": lines, **picture}
        except (pdfium.PdfiumError, MemoryError, ValueError) as error:
            raise _failed(number, error) from error
        finally:
            page.close()


def cut_pages(
    count: int,
    plan: DecodePlan,
    limits: Limits,
    skip: Collection[int],
    read: Callable[[int, DecodePlan], Row],
) -> Iterator[Shard | PageFailure | int]:
    """Pages to shards of `pages_per_part` each; a page that fails leaves the others alone.

    Raises:
        InputError: `too_large`.
    """
    parts = -(-count // plan.pages_per_part)
    stop_part = parts if plan.stop_part is None else min(parts, plan.stop_part)
    for part in range(plan.first_part, stop_part):
        first = part * plan.pages_per_part + 1
        stop = min(first + plan.pages_per_part, count + 1)
        rows: list[Row] = []
        for number in range(first, stop):
            if number in skip:
                continue
            yield number
            try:
                rows.append(read(number, plan))
            except InputError as error:
                yield PageFailure(part, number, error.code, error.message)
        if sum(len(row["image"]) for row in rows) > limits.message_bytes:
            message = f"pages {first} to {stop - 1} exceed {limits.message_bytes} bytes as pictures"
            raise InputError("too_large", message + "; take fewer pages a part")
        yield Shard(part, first, stop, pa.RecordBatch.from_pylist(rows, schema=PAGES))


def _asked(width: float, height: float, plan: DecodePlan) -> tuple[int, int]:
    """Width and height in pixels at so many an inch, but no more than are kept of a picture.

    A page has no pixels of its own. Whatever its size in points, no more than this is rendered.
    """
    scale = min(sqrt(MOST_PIXELS / (width * height)), plan.dpi / 72)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _rendered(page: Any, width: int, height: int) -> Image.Image:  # noqa: ANN401
    """The page in RGB, drawn at its very size: so nothing is resized behind it."""
    bitmap = pdfium.PdfBitmap.new_native(width, height, raw.FPDFBitmap_BGR, rev_byteorder=True)
    try:
        bitmap.fill_rect(_WHITE, 0, 0, width, height)
        how = 0, 0, width, height, 0, raw.FPDF_ANNOT | raw.FPDF_REVERSE_BYTE_ORDER
        raw.FPDF_RenderPageBitmap(bitmap.raw, page.raw, *how)
        if page.formenv:
            raw.FPDF_FFLDraw(page.formenv.raw, bitmap.raw, page.raw, *how)
        image: Image.Image = bitmap.to_pil()  # a copy, as RGB has four bytes in Pillow
        return image
    finally:
        bitmap.close()


def _failed(number: int, error: Exception) -> InputError:
    reason = str(error) or type(error).__name__
    message = f"page {number} cannot be rendered ({reason}); export it again"
    return InputError("page_failed", message)


def _refusal(file: BinaryIO, error: pdfium.PdfiumError) -> InputError:
    if getattr(error, "err_code", None) == _PASSWORD_ERROR or "password" in str(error):
        message = "the document needs a password; remove it, for example with qpdf --decrypt"
        return InputError("password_required", message)
    end = file.seek(0, 2)
    file.seek(max(0, end - _TAIL_BYTES))
    if b"%%EOF" not in file.read():
        message = "the document ends before its content does; fetch or export it again"
        return InputError("truncated", message)
    message = f"the document cannot be opened ({error}); fetch or export it again"
    return InputError("corrupt", message)

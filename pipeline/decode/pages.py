"""Pages: documents to rendered pages with their own text, by pdfium, inside the child.

A hostile page aborts the process. So the child says which page comes next before it touches it,
and the parent goes on behind the page that killed it.
"""

from collections.abc import Collection, Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pypdfium2 as pdfium

from pipeline.decode.picture import picture_row
from pipeline.decode.plan import DecodePlan, Limits
from pipeline.vlm.preprocess import smart_resize
from schemas.errors import InputError
from schemas.shards import PAGES, MediaInfo, Shard, UnitFailure

_PASSWORD_ERROR = 4


class Document:
    """An open PDF."""

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        """Open it.

        Raises:
            InputError: `password_required`, `corrupt` or `too_large`.
        """
        try:
            self._pdf = pdfium.PdfDocument(file.read())
        except pdfium.PdfiumError as error:
            if getattr(error, "err_code", None) == _PASSWORD_ERROR or "password" in str(error):
                message = (
                    "the document needs a password; remove it, for example with qpdf --decrypt"
                )
                raise InputError("password_required", message) from error
            message = f"the document cannot be opened ({error}); fetch or export it again"
            raise InputError("corrupt", message) from error
        self._count = len(self._pdf)
        if self._count > limits.pages:
            message = f"{self._count} pages are more than {limits.pages}; split the document"
            raise InputError("too_large", message)

    def info(self) -> MediaInfo:
        """Facts of the medium."""
        return MediaInfo("document", "pdf", "", 0, 0, pages=self._count)

    def shards(
        self, plan: DecodePlan, skip: Collection[int]
    ) -> Iterator[Shard | UnitFailure | int]:
        """Render the pages from the plan's first part on.

        Args:
            plan: sizes and parts.
            skip: page numbers that are known to kill the child.

        Yields:
            The number of each page before it is rendered; failed pages; a shard a part.
        """
        for part in range(plan.first_part, -(-self._count // plan.pages_per_part)):
            first = part * plan.pages_per_part + 1
            stop = min(first + plan.pages_per_part, self._count + 1)
            rows: list[dict[str, Any]] = []
            for number in range(first, stop):
                if number in skip:
                    continue
                yield number
                try:
                    rows.append(self._row(number, plan))
                except (pdfium.PdfiumError, InputError, MemoryError, ValueError) as error:
                    reason = str(error) or type(error).__name__
                    message = f"page {number} cannot be rendered ({reason}); export it again"
                    yield UnitFailure(part, number, "page_failed", message)
            yield Shard(part, first, stop, pa.RecordBatch.from_pylist(rows, schema=PAGES))

    def _row(self, number: int, plan: DecodePlan) -> dict[str, Any]:
        page = self._pdf[number - 1]
        try:
            width, height = page.get_size()
            rows, columns = smart_resize(
                max(1, round(height)),
                max(1, round(width)),
                min_pixels=plan.min_pixels,
                max_pixels=plan.max_pixels,
            )
            # Blank pages are told apart at a size where a line of small print still shows.
            scale = max(rows / height, columns / width, min(1.0, 1000 / max(width, height)))
            image = page.render(scale=scale).to_pil().convert("RGB")
            return {
                "page_no": number,
                "width_pt": width,
                "height_pt": height,
                "rotation": page.get_rotation(),
                "text": _text(page),
                **picture_row(
                    image,
                    min_pixels=plan.min_pixels,
                    max_pixels=plan.max_pixels,
                    lossless=True,
                ),
            }
        finally:
            page.close()


def _text(page: Any) -> str:  # noqa: ANN401 - pypdfium2 has no types
    textpage = page.get_textpage()
    try:
        text = str(textpage.get_text_range())
    finally:
        textpage.close()
    clean = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").replace("\ufffe", "")
    return clean.encode(errors="replace").decode()

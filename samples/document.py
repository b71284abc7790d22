"""The sample document: headings, a table, eight scripts, a blank and a rotated page."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from fpdf import FPDF

from samples import typefaces

FONTS: Final = {
    "latin": typefaces.DEJAVU_SANS,
    "arabic": typefaces.NASKH,
    "chinese": typefaces.NOTO_SANS_CHINESE,
    "japanese": typefaces.NOTO_SANS_JAPANESE,
    "korean": typefaces.NOTO_SANS_KOREAN,
}
SCRIPTS: Final = (
    ("English", "latin", "Every page becomes a row of a table."),
    ("Chinese", "chinese", "每一页都成为表格中的一行。"),
    ("French", "latin", "Chaque page devient une ligne du tableau, même à l'été."),
    ("German", "latin", "Jede Seite wird zu einer Zeile der Tabelle, auch größere."),
    ("Russian", "latin", "Каждая страница становится строкой таблицы."),
    ("Japanese", "japanese", "すべてのページが表の一行になります。"),
    ("Korean", "korean", "모든 페이지는 표의 한 줄이 됩니다."),
    ("Arabic", "arabic", "كل صفحة تصبح صفا في الجدول."),
)
FIRST_PAGE: Final = (
    (
        "Station report",
        "Trains, delays and passengers of four stations in one ordinary week.",
    ),
    (
        "Summary",
        "The airport has the most trains and the most delays. Invoice number: 40718.",
    ),
)
"""Headings, and what stands below each."""
TABLE_HEADING: Final = "Stations"
TABLE: Final = (
    ("Station", "Trains", "Late", "Passengers"),
    ("North", "184", "12", "20,150"),
    ("Harbour", "96", "3", "11,720"),
    ("Airport", "212", "25", "48,300"),
    ("Old Town", "58", "0", "6,405"),
)


def make_document(path: Path) -> None:
    """Write the PDF."""
    pdf = FPDF(format="A4")
    pdf.set_creation_date(datetime(2026, 1, 1, tzinfo=UTC))
    pdf.set_title("Station report")
    for name, typeface in FONTS.items():
        pdf.add_font(name, fname=typeface.path)
    pdf.add_font("latin", style="B", fname=typefaces.DEJAVU_SANS_BOLD.path)
    _title_page(pdf)
    _table_page(pdf)
    _script_page(pdf)
    pdf.add_page()  # blank on purpose
    pdf.add_page(orientation="landscape")
    _heading(pdf, "Appendix")
    _body(pdf, "This page lies on its side.")
    pdf.output(str(path))


def _heading(pdf: FPDF, text: str) -> None:
    pdf.set_font("latin", style="B", size=22)
    pdf.cell(text=text, new_x="LMARGIN", new_y="NEXT", h=16)


def _body(pdf: FPDF, text: str) -> None:
    pdf.set_font("latin", size=12)
    pdf.multi_cell(w=0, text=text, h=7, new_x="LMARGIN", new_y="NEXT")


def _title_page(pdf: FPDF) -> None:
    pdf.add_page()
    for heading, body in FIRST_PAGE:
        _heading(pdf, heading)
        _body(pdf, body)


def _table_page(pdf: FPDF) -> None:
    pdf.add_page()
    _heading(pdf, TABLE_HEADING)
    pdf.set_font("latin", size=12)
    with pdf.table() as table:
        for cells in TABLE:
            row = table.row()
            for cell in cells:
                row.cell(cell)


def _script_page(pdf: FPDF) -> None:
    pdf.add_page()
    _heading(pdf, "One sentence in eight languages")
    for language, font, sentence in SCRIPTS:
        pdf.set_font("latin", style="B", size=11)
        pdf.cell(text=language, new_x="LMARGIN", new_y="NEXT", h=8)
        pdf.set_font(font, size=15)
        shown = typefaces.visible(sentence) if font == "arabic" else sentence
        pdf.cell(text=shown, new_x="LMARGIN", new_y="NEXT", h=11)

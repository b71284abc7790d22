"""The sample scan: eight small pages with a picture of a sign each, in eight languages.

There is no text layer, so only a model can read them.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from fpdf import FPDF
from PIL import Image, ImageDraw

from samples import typefaces
from samples.typefaces import Typeface, visible

SIGNS: Final = (
    ("English", typefaces.DEJAVU_SANS_BOLD, "Exit 24"),
    ("Chinese", typefaces.NOTO_SANS_CHINESE, "出口"),
    ("French", typefaces.DEJAVU_SANS, "Sortie"),
    ("German", typefaces.DEJAVU_SANS, "Ausgang"),
    ("Russian", typefaces.DEJAVU_SANS, "Вокзал"),
    ("Japanese", typefaces.NOTO_SANS_JAPANESE, "空港"),
    ("Korean", typefaces.NOTO_SANS_KOREAN, "출구"),
    ("Arabic", typefaces.NASKH, "مطار"),
)
"""Language, typeface, and what the sign says."""
_POINTS: Final = (180, 100)
_SCALE: Final = 4
_LETTERS: Final = 20
"""Height of the letters in points."""
_PAPER: Final = (250, 248, 240)
_INK: Final = (30, 40, 60)


def make_signs(path: Path) -> None:
    """Write the PDF."""
    pdf = FPDF(unit="pt", format=_POINTS)
    pdf.set_creation_date(datetime(2026, 1, 1, tzinfo=UTC))
    pdf.set_title("Signs")
    for language, typeface, text in SIGNS:
        pdf.add_page()
        shown = visible(text) if language == "Arabic" else text
        pdf.image(_sign(shown, typeface), 0, 0, *_POINTS)
    pdf.output(str(path))


def _sign(text: str, typeface: Typeface) -> Image.Image:
    image = Image.new("RGB", (_POINTS[0] * _SCALE, _POINTS[1] * _SCALE), _PAPER)
    face = typeface.at(_LETTERS * _SCALE)
    middle = (image.width / 2, image.height / 2)
    ImageDraw.Draw(image).text(middle, text, _INK, face, anchor="mm")
    return image

"""The sample scan: eight small pages with a picture of a sign each, in eight languages.

There is no text layer, so only a model can read them.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from fpdf import FPDF
from PIL import Image, ImageDraw, ImageFont

from samples.document import ARABIC, BOLD, CJK, LATIN

SIGNS: Final = (
    ("English", BOLD, 0, "Exit 24"),
    ("Chinese", CJK, 2, "出口"),
    ("French", LATIN, 0, "Sortie"),
    ("German", LATIN, 0, "Ausgang"),
    ("Russian", LATIN, 0, "Вокзал"),
    ("Japanese", CJK, 0, "空港"),
    ("Korean", CJK, 1, "출구"),
    ("Arabic", ARABIC, 0, "مطار"),
)
"""Language, font, its place in a collection, and what the sign says."""
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
    for _, font, place, text in SIGNS:
        pdf.add_page()
        pdf.image(_sign(text, font, place), 0, 0, *_POINTS)
    pdf.output(str(path))


def _sign(text: str, font: Path, place: int) -> Image.Image:
    image = Image.new("RGB", (_POINTS[0] * _SCALE, _POINTS[1] * _SCALE), _PAPER)
    face = ImageFont.truetype(str(font), _LETTERS * _SCALE, index=place)
    middle = (image.width / 2, image.height / 2)
    ImageDraw.Draw(image).text(middle, text, _INK, face, anchor="mm")
    return image

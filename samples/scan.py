"""The sample scan: a notice on paper, a little askew, as a picture in a PDF without text layer."""

from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from fpdf import FPDF
from PIL import Image, ImageDraw

from samples.typefaces import DEJAVU_SERIF

LINES: Final = (
    "Town Railways",
    "4 Station Square, Old Town",
    "2 March 2026",
    "To all who live near Harbour station",
    "Dear neighbours,",
    "from 13 April we build a second platform at Harbour.",
    "There will be noise on workdays from 7:00 to 16:00.",
    "Trains run as always; the footbridge is closed in May.",
    "If you have questions, call 555 0142 or come to the",
    "town hall on Friday, 20 March, at 18:30.",
    "With kind regards,",
    "M. Okafor, head of works",
)
_GAPS: Final = (0, 8, 60, 70, 60, 40, 8, 8, 8, 8, 60, 80)
"""Pixels above each line, beyond its own height."""
_SIZE: Final = (1240, 1754)
"""A4 at 150 dots an inch."""
_PAPER: Final = 232
_INK: Final = 58
_ASKEW: Final = 0.7
"""Degrees by which the sheet lies askew."""
_NOISE: Final = 2.5
"""Standard deviation of the scanner's noise, of 255."""


def make_scan(path: Path) -> None:
    """Write the PDF."""
    pdf = FPDF(format="A4")
    pdf.set_creation_date(datetime(2026, 1, 1, tzinfo=UTC))
    pdf.set_title("Notice")
    pdf.add_page()
    jpeg = BytesIO()
    _scanned(_sheet()).save(jpeg, "JPEG", quality=40, optimize=True)
    pdf.image(jpeg, 0, 0, pdf.w, pdf.h)
    pdf.output(str(path))


def _sheet() -> Image.Image:
    image = Image.new("L", _SIZE, _PAPER)
    draw, y = ImageDraw.Draw(image), 180
    for number, (gap, line) in enumerate(zip(_GAPS, LINES, strict=True)):
        y += gap
        face = DEJAVU_SERIF.at(44 if number == 0 else 27)
        draw.text((150, y), line, _INK, face)
        y += 64 if number == 0 else 38
    return image


def _scanned(sheet: Image.Image) -> Image.Image:
    """The sheet as a scanner gives it: turned, darker to one side, and noisy."""
    turned = sheet.rotate(_ASKEW, Image.Resampling.BICUBIC, fillcolor=_PAPER)
    noise = np.random.default_rng(1).normal(0.0, _NOISE, (_SIZE[1], _SIZE[0]))
    shade = np.linspace(6.0, -6.0, _SIZE[0])
    grey = np.asarray(turned) + noise + shade
    return Image.fromarray(grey.clip(0, 255).astype(np.uint8))

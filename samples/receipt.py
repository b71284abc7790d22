"""The sample receipt: a narrow photograph of what a till printed."""

from decimal import Decimal
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from samples.typefaces import DEJAVU_SANS_MONO

SHOP: Final = "HARBOUR CAFE"
DATE: Final = "17 Jan 2026 08:42"
ITEMS: Final = (
    ("Coffee", "3.20"),
    ("Green tea", "2.80"),
    ("Croissant", "2.10"),
    ("Apple juice", "3.50"),
    ("Newspaper", "2.40"),
    ("Day ticket", "8.60"),
)
"""Names and prices."""
TOTAL: Final = ("TOTAL", str(sum(Decimal(price) for _, price in ITEMS)))
THANKS: Final = "Thank you!"
_SIZE: Final = (440, 720)
_PAPER: Final = (246, 243, 234)
_INK: Final = (52, 50, 60)
_MARGIN: Final = 44


def make_receipt(path: Path) -> None:
    """Write the JPEG."""
    image = Image.new("RGB", _SIZE, _PAPER)
    draw = ImageDraw.Draw(image)
    text, large = DEJAVU_SANS_MONO.at(24), DEJAVU_SANS_MONO.at(36)
    draw.text((_SIZE[0] / 2, 70), SHOP, _INK, large, anchor="mm")
    draw.text((_SIZE[0] / 2, 120), DATE, _INK, text, anchor="mm")
    for number, (name, price) in enumerate((*ITEMS, TOTAL)):
        y = 200 + 64 * number
        draw.text((_MARGIN, y), name, _INK, text, anchor="lm")
        draw.text((_SIZE[0] - _MARGIN, y), price, _INK, text, anchor="rm")
    rule = 200 + 64 * len(ITEMS) - 32
    draw.line((_MARGIN, rule, _SIZE[0] - _MARGIN, rule), _INK, 2)
    draw.text((_SIZE[0] / 2, 660), THANKS, _INK, text, anchor="mm")
    _photographed(image).save(path, quality=70, optimize=True)


def _photographed(image: Image.Image) -> Image.Image:
    """The paper under a lamp: brighter above than below, and grainy."""
    grain = np.random.default_rng(2).normal(0.0, 3.0, (_SIZE[1], _SIZE[0], 1))
    light = np.linspace(4.0, -18.0, _SIZE[1])[:, None, None]
    return Image.fromarray((np.asarray(image) + grain + light).clip(0, 255).astype(np.uint8))

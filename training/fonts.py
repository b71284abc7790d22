"""Fonts: what prints each language, and each font once a size.

Debian's fonts-dejavu-core, -liberation, -noto-core, -noto-cjk, -lato, -open-sans and
-crosextra-carlito.
"""

from functools import cache
from pathlib import Path
from typing import Final

from PIL import ImageFont

FONT_ROOT: Final = Path("/usr/share/fonts")
ENGLISH: Final = (
    "truetype/dejavu/DejaVuSans.ttf",
    "truetype/dejavu/DejaVuSans-Bold.ttf",
    "truetype/dejavu/DejaVuSerif.ttf",
    "truetype/liberation/LiberationSans-Regular.ttf",
    "truetype/liberation/LiberationSans-Bold.ttf",
    "truetype/liberation/LiberationSerif-Regular.ttf",
    "truetype/noto/NotoSans-Regular.ttf",
    "truetype/noto/NotoSerif-Regular.ttf",
    "truetype/lato/Lato-Regular.ttf",
    "truetype/open-sans/OpenSans-Regular.ttf",
    "truetype/crosextra/Carlito-Regular.ttf",
)
_EUROPEAN: Final = (
    "truetype/dejavu/DejaVuSans.ttf",
    "truetype/dejavu/DejaVuSans-Bold.ttf",
    "truetype/dejavu/DejaVuSerif.ttf",
    "truetype/noto/NotoSans-Regular.ttf",
    "truetype/noto/NotoSans-Bold.ttf",
    "truetype/noto/NotoSerif-Regular.ttf",
)
_ARABIC: Final = (
    "truetype/noto/NotoNaskhArabic-Regular.ttf",
    "truetype/noto/NotoNaskhArabic-Bold.ttf",
    "truetype/noto/NotoSansArabic-Regular.ttf",
    "truetype/dejavu/DejaVuSans.ttf",
)
_CJK: Final = (
    "opentype/noto/NotoSansCJK-Regular.ttc",
    "opentype/noto/NotoSansCJK-Bold.ttc",
    "opentype/noto/NotoSerifCJK-Regular.ttc",
)
_FACES: Final = {"japanese": 0, "korean": 1, "chinese": 2}
"""Place of a language's variant in the collections of Noto CJK."""
ALL_FONTS: Final = tuple(dict.fromkeys((*ENGLISH, *_EUROPEAN, *_ARABIC, *_CJK)))


def names(language: str) -> tuple[str, ...]:
    """Files below `FONT_ROOT` that print a language."""
    if language == "english":
        return ENGLISH
    if language in _FACES:
        return _CJK
    return _ARABIC if language == "arabic" else _EUROPEAN


@cache
def font(name: str, size: int, language: str = "english") -> ImageFont.FreeTypeFont:
    """A font of a size in pixels; Arabic is shaped by Raqm, all else set letter by letter."""
    shaped = language == "arabic"
    engine = ImageFont.Layout.RAQM if shaped else ImageFont.Layout.BASIC
    index = _FACES.get(language, 0) if name.endswith(".ttc") else 0
    return ImageFont.truetype(str(FONT_ROOT / name), size, index=index, layout_engine=engine)


def edges(face: ImageFont.FreeTypeFont, text: str, *, right_to_left: bool = False) -> list[float]:
    """Where each character begins, and the last one ends, in pixels from where reading begins."""
    if not right_to_left:
        return [face.getlength(text[:end]) for end in range(len(text) + 1)]
    joiner = "\u200d"  # keeps the last letter in the form that it has inside the word
    inside = [face.getlength(text[:end] + joiner) for end in range(1, len(text))]
    return [0.0, *inside, face.getlength(text)]

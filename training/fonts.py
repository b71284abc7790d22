"""Fonts: what prints each language, and each font once a size."""

from functools import cache
from typing import Final

from PIL import ImageFont

from samples import typefaces
from samples.typefaces import Typeface, visible

_PRINTS: Final = {
    "english": (
        typefaces.DEJAVU_SANS,
        typefaces.DEJAVU_SANS_BOLD,
        typefaces.DEJAVU_SERIF,
        typefaces.ARIMO,
        typefaces.ARIMO_BOLD,
        typefaces.NOTO_SANS,
        typefaces.NOTO_SERIF,
        typefaces.LATO,
        typefaces.OPEN_SANS,
    ),
    "arabic": (
        typefaces.NASKH,
        typefaces.NASKH_BOLD,
        typefaces.NOTO_SANS_ARABIC,
        typefaces.DEJAVU_SANS,
    ),
    "chinese": (typefaces.NOTO_SANS_CHINESE, typefaces.NOTO_SERIF_CHINESE),
    "japanese": (typefaces.NOTO_SANS_JAPANESE, typefaces.NOTO_SERIF_JAPANESE),
    "korean": (typefaces.NOTO_SANS_KOREAN, typefaces.NOTO_SERIF_KOREAN),
}
_OTHERS: Final = (
    typefaces.DEJAVU_SANS,
    typefaces.DEJAVU_SANS_BOLD,
    typefaces.DEJAVU_SERIF,
    typefaces.NOTO_SANS,
    typefaces.NOTO_SANS_BOLD,
    typefaces.NOTO_SERIF,
)
"""For the other languages of Europe, and Vietnamese."""
_JOINER: Final = "\u200d"
"""Gives a last letter the form that it has inside the word; it is not printed itself."""


def printing(language: str) -> tuple[Typeface, ...]:
    """The typefaces that print a language."""
    return _PRINTS.get(language, _OTHERS)


@cache
def font(typeface: Typeface, size: int) -> ImageFont.FreeTypeFont:
    """A typeface of a size in pixels."""
    return typeface.at(size)


def edges(face: ImageFont.FreeTypeFont, text: str, *, right_to_left: bool = False) -> list[float]:
    """Where each character begins, and the last one ends, in pixels from where reading begins."""
    if not right_to_left:
        return [face.getlength(text[:end]) for end in range(len(text) + 1)]
    inside = [face.getlength(visible(text[:end] + _JOINER)) for end in range(1, len(text))]
    return [0.0, *inside, face.getlength(visible(text))]

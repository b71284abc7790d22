"""Scripts: eleven languages beside English, their closed vocabularies and what prints them.

Held out are pairs of words, by a hash: the words are known, their combinations are not. Chinese
is written in runs of one to four characters.
"""

import hashlib
import random
import unicodedata
from functools import cache
from pathlib import Path
from typing import Final

VOCABULARY: Final = Path(__file__).parent / "vocabulary"
LANGUAGES: Final = (
    *("chinese", "japanese", "korean", "arabic", "russian", "german"),
    *("french", "spanish", "polish", "greek", "vietnamese"),
)
_CASED: Final = ("russian", "german", "french", "spanish", "polish", "greek", "vietnamese")
_ALIKE: Final = frozenset("cosvwxzвгджзиклмнопстхцчшщъыьэюя")
"""Letters whose small form is a smaller capital."""
_EXTRA: Final = "—–…“”‘’«»¿¡°§€£¥©®×÷±µ·½、。「」・，：？！（）،؛؟"
_RANGES: Final = (
    *((0xC0, 0x17F), (0x1EA0, 0x1EF9)),
    *((0x386, 0x3CE), (0x410, 0x44F), (0x621, 0x63A), (0x641, 0x64A), (0x660, 0x669)),
    *((0x3041, 0x3096), (0x30A1, 0x30FC)),
)


@cache
def vocabulary(language: str) -> tuple[str, ...]:
    """Words of a language in composed form (NFC); characters for Chinese."""
    text = (VOCABULARY / f"{language}.txt").read_text(encoding="utf-8")
    return tuple(unicodedata.normalize("NFC", text).split())


@cache
def characters() -> tuple[str, ...]:
    """All characters beyond ASCII that a token and a dense label exist for, in order."""
    found = {*_EXTRA, *"ЁёЄєІіЇїҐґƠơƯư"}
    for begin, end in _RANGES:
        found |= {chr(code) for code in range(begin, end + 1)}
    for language in LANGUAGES:
        words = "".join(vocabulary(language))
        found |= set(words + words.upper() + words.capitalize())
    assigned = (c for c in found if not c.isascii() and unicodedata.category(c) != "Cn")
    return tuple(sorted(assigned))


def is_held_out(line: str) -> bool:
    """Whether a line of more than one word belongs to the evaluation alone."""
    return hashlib.sha1(line.lower().encode()).digest()[0] % 5 == 0


def line(random_: random.Random, language: str, held_out: bool, longest: int = 12) -> str:
    """A word, or a line of two, of at most `longest` characters.

    Single words are the same in training and evaluation, longer lines never.
    """
    while True:
        if language == "chinese":
            count = random_.choices((1, 2, 3, 4), weights=(1, 2, 2, 2))[0]
            text = "".join(random_.choices(vocabulary(language), k=min(count, longest)))
            several = len(text) > 1
        else:
            several = random_.random() < 0.45
            text = " ".join(random_.choices(vocabulary(language), k=1 + several))
            text = _cased(random_, text, language)
        if len(text) <= longest and (not several or is_held_out(text) is held_out):
            return text


def _shows_case(text: str) -> bool:
    """Whether small letters differ from capitals in more than their size."""
    plain = "".join(c for c in unicodedata.normalize("NFD", text) if c.isalpha())
    return not set(plain) <= _ALIKE


def _cased(random_: random.Random, text: str, language: str) -> str:
    if language not in _CASED:
        return text
    styles = (str, str.capitalize, str.upper)
    style = random_.choices(styles, weights=(6, 2, 2))[0] if _shows_case(text) else str.capitalize
    cased = style(text)
    return cased if len(cased) == len(text) else text

"""Script: which writing system most letters of a line belong to, by their Unicode names."""

import unicodedata
from collections import Counter
from typing import Final

_CODES: Final = {
    "LATIN": "Latn",
    "CYRILLIC": "Cyrl",
    "GREEK": "Grek",
    "ARABIC": "Arab",
    "HEBREW": "Hebr",
    "CJK": "Hani",
    "HIRAGANA": "Jpan",
    "KATAKANA": "Jpan",
    "HANGUL": "Kore",
    "DEVANAGARI": "Deva",
    "THAI": "Thai",
}


_LANGUAGES: Final = {"Jpan": "ja", "Kore": "ko", "Thai": "th", "Grek": "el", "Hebr": "he"}


def language_of(text: str) -> str | None:
    """The language (ISO 639-1) where the script says it; None of a script that several use."""
    return _LANGUAGES.get(script_of(text) or "")


def script_of(text: str) -> str | None:
    """The code of ISO 15924; None without a letter of a script that is known here.

    Han letters beside kana are Japanese.
    """
    found = Counter(
        code
        for letter in text
        if letter.isalpha()
        and (code := _CODES.get(unicodedata.name(letter, "").replace("-", " ").split(" ")[0]))
    )
    if not found:
        return None
    if found["Jpan"]:
        found["Jpan"] += found.pop("Hani", 0)
    return found.most_common(1)[0][0]

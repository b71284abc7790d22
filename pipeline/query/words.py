"""Words: what a person looks for in texts of any language, as a pattern, and where it stands.

Texts are compared in one form: compatibility forms, case and the accents of Latin and Greek letters
make no difference, nor do vowel points, the forms of alef and the prefixes of Arabic words. Between
the characters of scripts without spaces there are no word borders.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from schemas.errors import SetupError

_SPACELESS: Final = "\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
"""Thai, Lao, Khmer, kana, Han; and Hangul, whose particles follow a word without a space."""
_ARABIC: Final = "\u0621-\u064a"
_PARTICLES: Final = "(?:[\u0648\u0641]?(?:[\u0628\u0643]?(?:\u0627\u0644)?|\u0644?\u0644))?"
"""And, so; in, like; the; to: they are written as the beginning of the next word."""
_FOLDED: Final = str.maketrans(
    {
        **dict.fromkeys("\u0622\u0623\u0625\u0671", "\u0627"),  # forms of alef
        "\u0649": "\u064a",
        "\u0629": "\u0647",
        "\u0640": "",  # tatweel
        "\u0451": "\u0435",  # Russian writes either
    }
)
_MARKS: Final = re.compile(
    "(?<=[a-z\u0370-\u03ff])[\u0300-\u036f]+|[\u0591-\u05c7\u064b-\u065f\u0670]+"
)
_TERM: Final = re.compile(r'"([^"]*)"|(\S+)')
_AROUND: Final = 40  # characters of a snippet before and behind a hit


@dataclass(frozen=True)
class Snippet:
    """A hit with what stands around it; `start` and `end` are the hit's places in `text`."""

    text: str
    start: int
    end: int


class Words:
    """A search: `word`, `begin*`, `"a phrase"`; all of them have to stand in a text."""

    def __init__(self, wanted: str) -> None:
        """Read what is looked for.

        Raises:
            SetupError: `usage`, there is no letter or digit in it.
        """
        found = [phrase or word for phrase, word in _TERM.findall(wanted)]
        self._patterns = [re.compile(one) for one in map(_pattern, found) if one]
        if not self._patterns:
            message = f'{wanted!r}: give words to look for, such as: total invo* "due date"'
            raise SetupError("usage", message)

    def snippet(self, text: str) -> Snippet | None:
        """The first hit of the first word, if all words stand in a text."""
        folded = _fold(text)
        if not all(pattern.search(folded) for pattern in self._patterns):
            return None
        plain, places = _placed(text)
        hits = [hit.span() for pattern in self._patterns if (hit := pattern.search(plain))]
        first = min(hits, default=(0, 1))
        start, end = places[first[0]][0], places[first[1] - 1][1]
        head, tail = text[max(0, start - _AROUND) : start], text[end : end + _AROUND]
        if start > _AROUND:  # from a whole word on, where there are spaces
            head = head.partition(" ")[2] or head
        if end + _AROUND < len(text):
            tail = tail.rpartition(" ")[0] or tail
        head, tail = head.lstrip(), tail.rstrip()
        return Snippet(head + text[start:end] + tail, len(head), len(head) + end - start)


def _pattern(term: str) -> str:
    """A regular expression over folded text; "" for a term without letters."""
    is_prefix = term.endswith("*")
    words = re.findall(r"\w+", _fold(term))
    if not words:
        return ""
    first, last = words[0][0], words[-1][-1]
    begin = "" if _fits(_SPACELESS, first) else r"(?<!\w)"
    begin += _PARTICLES if _fits(_ARABIC, first) else ""
    end = "" if is_prefix or _fits(_SPACELESS, last) else r"(?!\w)"
    return begin + r"\W+".join(map(_letters, words)) + end


def _letters(word: str) -> str:
    """A word whose characters may be apart where a line may end between them."""
    parts = [re.escape(one) for one in word]
    gaps = [r"\s*" if _fits(_SPACELESS, one) else "" for one in word[:-1]]
    return "".join(part + gap for part, gap in zip(parts, [*gaps, ""], strict=True))


def _fits(range_: str, character: str) -> bool:
    return re.match(f"[{range_}]", character) is not None


def _placed(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The text as it is compared, and where each of its characters comes from."""
    pieces: list[str] = []
    places: list[tuple[int, int]] = []
    for match in re.finditer(
        r".[\u0300-\u036f\u3099\u309a\u0591-\u05c7\u064b-\u065f\u0670]*", text, re.S
    ):
        piece = _fold(match[0])
        pieces.append(piece)
        places += [match.span()] * len(piece)
    return "".join(pieces), places


def _fold(text: str) -> str:
    """The text as it is compared."""
    if text.isascii():
        return text.lower()
    open_ = _MARKS.sub("", unicodedata.normalize("NFKD", text).casefold())
    return unicodedata.normalize("NFKC", open_).translate(_FOLDED)

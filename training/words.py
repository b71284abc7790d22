"""Words: the strings that training pictures show, and those held out for evaluation.

Words come from the English list of `pyspellchecker`. A tenth of them, chosen by a hash, and a tenth
of all numbers are held out: no English line of a training picture ever shows them, alone or beside
others. Words that other languages share with English, and numbers inside sums, are not counted.
"""

import hashlib
import random
from functools import cache
from typing import Final

from spellchecker import SpellChecker

MAX_CHARACTERS: Final = 12
_NOT_SEEN: Final = 50
"""What the list counts for a word that a dictionary has, and its corpus does not."""


def is_held_out(word: str) -> bool:
    """Whether a word (in any case) or number belongs to the evaluation alone."""
    return hashlib.sha1(word.lower().encode()).digest()[0] % 10 == 0


@cache
def words(held_out: bool) -> tuple[str, ...]:
    """All plain words of 2 to 12 letters, lower case, of one of the two halves."""
    listed = SpellChecker().word_frequency.items()
    found = (word for word, count in listed if count > _NOT_SEEN and _is_plain(word))
    return tuple(sorted(word for word in found if is_held_out(word) is held_out))


def _is_plain(word: str) -> bool:
    letters = word.isascii() and word.isalpha() and word.islower()
    return letters and 2 <= len(word) <= MAX_CHARACTERS


def name(random_: random.Random, held_out: bool, least: int, most: int) -> str:
    """A capitalised word of `least` to `most` letters, for what a picture labels."""
    pool = words(held_out)
    while not least <= len(word := random_.choice(pool)) <= most:
        pass
    return word.capitalize()


def line(random_: random.Random, held_out: bool, longest: int = MAX_CHARACTERS) -> str:
    """One line of one to three words and numbers, at most `longest` characters."""
    while True:
        count = random_.choices((1, 2, 3), weights=(5, 4, 1))[0]
        parts = [_part(random_, held_out, longest) for _ in range(count)]
        if count > 1 and random_.random() < 0.4:
            parts = _same_case(parts, random_)
        text = " ".join(parts)
        if 2 <= len(text) <= longest and not _is_ambiguous(text):
            return text


def _same_case(parts: list[str], random_: random.Random) -> list[str]:
    style = random_.choice((str.lower, str.upper, str.capitalize))
    return [style(part) for part in parts]


def _part(random_: random.Random, held_out: bool, longest: int) -> str:
    if random_.random() < 0.3:
        return _number(random_, held_out, longest)
    pool = words(held_out)
    while len(word := random_.choice(pool)) > longest:
        pass
    style = random_.choices((str.lower, str.capitalize, str.upper), weights=(4, 3, 2))[0]
    return style(word)


def _number(random_: random.Random, held_out: bool, longest: int) -> str:
    while True:
        digits = random_.randint(1, min(7, longest))
        text = str(random_.randrange(10 ** (digits - 1), 10**digits))
        style = random_.random()
        if style < 0.15 and digits >= 3:
            text = f"{text[:-2]}.{text[-2:]}"
        elif style < 0.25 and digits >= 4:
            text = f"{int(text):,}"
        if len(text) <= longest and is_held_out(text) is held_out:
            return text


def _is_ambiguous(text: str) -> bool:
    """Lines in which nobody could tell I, l and 1, O and 0, or capitals and small letters apart."""
    if set(text.lower()) <= set("cosvwxz "):
        return True
    return any(
        part in {"I", "l", "1", "O", "0", "o", "II", "ll", "11", "OO", "00"}
        for part in text.split()
    )

"""Training draws the same pictures on every machine, and its typefaces hold every letter.

`python -m tests.training.test_same_pictures` writes `pictures.json` anew, when a generator, a
typeface or Pillow was changed on purpose.
"""

import hashlib
import json
import random
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont

from samples.typefaces import visible
from training.fonts import printing
from training.scripts import LANGUAGES, vocabulary
from training.tasks import GROUPS, HOW, TASKS

GOLDEN = Path(__file__).with_name("pictures.json")
ASCII = "".join(map(chr, range(33, 127)))


def digest(task: str) -> str:
    """Of three pictures of a task."""
    (size, *_) = next(group.sizes for group in GROUPS.values() if task in group.tasks)
    seeds = (random.Random(f"{task}{number}") for number in range(3))
    pictures = [TASKS[task](seed, size, HOW, False).picture.tobytes() for seed in seeds]
    return hashlib.sha256(b"".join(pictures)).hexdigest()


def digests() -> dict[str, str]:
    return {task: digest(task) for task in sorted(TASKS)}


def test_pictures_are_the_same_as_ever() -> None:
    assert digests() == json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("language", ["english", *LANGUAGES])
def test_typefaces_hold_every_letter_of_their_language(language: str) -> None:
    words = ASCII if language == "english" else "".join(vocabulary(language))
    shown = visible(words) if language == "arabic" else words + words.upper() + words.title()
    for typeface in printing(language):
        letters = set(TTFont(typeface.path).getBestCmap())
        assert {letter for letter in shown if ord(letter) not in letters} == set(), typeface


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(digests(), indent=1) + "\n")

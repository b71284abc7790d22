"""Table: what the checkpoint has to do, part by part, with targets and how answers are judged.

Pictures are of seeds, and strings of words, that training never sees.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from pipeline.vlm.tools import calls
from training.canvas import CLEAN, Example, Finish, Grid, pixels
from training.lines import script_line, text_line
from training.phrases import NO_TOOL, NOT_SHOWN
from training.reading import NO_TEXT
from training.screens import point
from training.scripts import LANGUAGES
from training.tasks import GROUPS, HOW, TASKS

ABSENT: Final = (NOT_SHOWN, NO_TEXT, NO_TOOL, "no")
"""Answers where what was asked for is not there."""
SMALL: Final[tuple[Grid, ...]] = (
    *((1, 4), (1, 6), (1, 8), (2, 4), (2, 6), (2, 8), (3, 5), (3, 6), (4, 4)),
)
"""Sizes of up to 18 visual tokens, on which earlier checkpoints were measured."""
Draw = Callable[[random.Random, int], Example]
Judge = Callable[[Example, str], float]


@dataclass(frozen=True)
class Measure:
    """One figure: its name, the issue's target, and the score of an answer in 0..1."""

    name: str
    target: float
    judge: Judge


@dataclass(frozen=True)
class Part:
    """Pictures of one kind, and what is measured on their answers.

    Attributes:
        name: of the part.
        draw: draws the n-th example.
        measures: on the answers, those left out whose right answer is in `ABSENT`.
    """

    name: str
    draw: Draw
    measures: tuple[Measure, ...]


def exact(drawn: Example, answer: str) -> float:
    """1 for the right answer."""
    return float(drawn.answer == answer)


def lines_right(drawn: Example, answer: str) -> float:
    """Share of the lines that stand in their place."""
    wanted, given = drawn.answer.split("\n"), answer.split("\n")
    same = sum(a == b for a, b in zip(wanted, given, strict=False))
    return same / max(len(wanted), len(given))


def characters_right(drawn: Example, answer: str) -> float:
    """One minus the edit distance over the length of the right answer, at least 0."""
    previous = list(range(len(answer) + 1))
    for row, wanted in enumerate(drawn.answer, start=1):
        current = [row]
        for column, given in enumerate(answer, start=1):
            change = previous[column - 1] + (wanted != given)
            current.append(min(previous[column] + 1, current[-1] + 1, change))
        previous = current
    return max(0.0, 1 - previous[-1] / len(drawn.answer))


def words_right(drawn: Example, answer: str) -> float:
    """Share of the words that stand in their place."""
    wanted, given = drawn.answer.split(" "), answer.split(" ")
    same = sum(a == b for a, b in zip(wanted, given, strict=False))
    return same / max(len(wanted), len(given))


def within_a_second(drawn: Example, answer: str) -> float:
    """1 for a time at most one second away from the right one."""
    try:
        given = float(answer.removesuffix(" s"))
    except ValueError:
        return 0.0
    return float(abs(given - float(drawn.answer.removesuffix(" s"))) <= 1)


def valid_json(_drawn: Example, answer: str) -> float:
    """1 for exactly one call that is JSON with a name and arguments."""
    return float(len(calls(answer)) == 1)


def right_call(drawn: Example, answer: str) -> float:
    """1 for the right function with the right arguments."""
    return float(calls(answer) == calls(drawn.answer))


def inside(drawn: Example, answer: str) -> float:
    """1 for a tap inside the button."""
    found = point(answer)
    if found is None or drawn.box is None:
        return 0.0
    height, width = pixels((drawn.labels.shape[0], drawn.labels.shape[1]))
    x, y = found[0] / 1000 * width, found[1] / 1000 * height
    left, top, right, bottom = drawn.box
    return float(left <= x <= right and top <= y <= bottom)


def _of_group(group: str, task: str, random_: random.Random, index: int) -> Example:
    sizes = tuple(dict.fromkeys(GROUPS[group].sizes))
    return TASKS[task](random_, sizes[index % len(sizes)], HOW, True)


def _english(how: Finish, random_: random.Random, index: int) -> Example:
    return text_line(random_, SMALL[index % len(SMALL)], held_out=True, how=how)


def _paragraph(random_: random.Random, index: int) -> Example:
    task = ("line", "lines", "lines")[index % 3]
    return _of_group("reading", task, random_, index)


def _script(language: str, random_: random.Random, index: int) -> Example:
    sizes = [size for size in dict.fromkeys(GROUPS["reading"].sizes) if size[2] >= 4]
    grid = sizes[index % len(sizes)][1:]
    return script_line(random_, grid, language, held_out=True, how=HOW)


def _clip(asked: str, random_: random.Random, index: int) -> Example:
    while not (drawn := _of_group("clips", "clip", random_, index)).prompt.count(asked):
        pass
    return drawn


PARTS: Final = (
    Part("English, one clean line", partial(_english, CLEAN), (Measure("lines", 0.95, exact),)),
    Part(
        "English, one to three lines",
        _paragraph,
        (Measure("characters", 0.99, characters_right), Measure("lines", 0.95, lines_right)),
    ),
    *(
        Part(language, partial(_script, language), (Measure("words", 0.90, words_right),))
        for language in LANGUAGES
    ),
    Part("one shape", partial(_of_group, "reading", "shape"), (Measure("answers", 0.97, exact),)),
    Part(
        "two or three shapes",
        partial(_of_group, "scenes", "scene"),
        (Measure("answers", 0.97, exact),),
    ),
    Part("clip: what", partial(_clip, "happens"), (Measure("answers", 0.95, exact),)),
    Part("clip: when", partial(_clip, "appear?"), (Measure("within 1 s", 0.90, within_a_second),)),
    Part("page", partial(_of_group, "pages", "page"), (Measure("answers", 0.90, exact),)),
    Part(
        "arithmetic",
        partial(_of_group, "arithmetic", "arithmetic"),
        (Measure("answers", 0.80, exact),),
    ),
    Part("largest bar", partial(_of_group, "bars", "bars"), (Measure("answers", 0.80, exact),)),
    Part(
        "function call",
        partial(_of_group, "calls", "call"),
        (Measure("valid JSON", 0.95, valid_json), Measure("right call", 0.90, right_call)),
    ),
    Part("tap", partial(_of_group, "screens", "tap"), (Measure("inside", 0.90, inside),)),
)

"""Reading: lines of text and single shapes with the prompts that every picture is asked."""

import random
from dataclasses import replace
from typing import Final

from PIL import Image

from training.canvas import (
    COLOURS,
    SHAPES,
    Example,
    Finish,
    Grid,
    Question,
    finish,
    no_labels,
    paper,
    pixels,
)
from training.lines import READ, script_line, text_line, text_lines
from training.scripts import LANGUAGES
from training.shapes import DESCRIBE, WHAT_COLOUR, WHAT_SHAPE, is_there, single_shape

NO_TEXT: Final = "no text"
TEXT: Final = "text"
EMPTY: Final = "an empty picture"
_QUESTIONS: Final = 2
"""On a shape."""
_ASKED_MORE: Final = 0.1
"""Share of the lines on which there are further questions."""
_SHARES: Final = {
    "chinese": 2.5,
    "arabic": 2.0,
    "russian": 1.8,
    "greek": 2.0,
    "vietnamese": 2.2,
}
"""More of the languages that are harder; of the others 1."""


def english(random_: random.Random, grid: Grid, how: Finish, held_out: bool) -> Example:
    """One English line."""
    return _asked(random_, text_line(random_, grid, held_out=held_out, how=how))


def lines(random_: random.Random, grid: Grid, how: Finish, held_out: bool) -> Example:
    """Two or three English lines, or one where there is no room."""
    if grid[0] == 1:
        return english(random_, grid, how, held_out)
    return _asked(random_, text_lines(random_, grid, held_out=held_out, how=how))


def script(random_: random.Random, grid: Grid, how: Finish, held_out: bool) -> Example:
    """A line of another language."""
    shares = [_SHARES.get(one, 1.0) for one in LANGUAGES]
    language = random_.choices(LANGUAGES, weights=shares)[0]
    return _asked(random_, script_line(random_, grid, language, held_out=held_out, how=how))


def shape(random_: random.Random, grid: Grid, how: Finish, _held_out: bool) -> Example:
    """A single shape with its questions."""
    drawn = single_shape(random_, grid, how)
    _, colour, name = drawn.answer.split()
    questions = (
        Question(DESCRIBE, drawn.answer),
        Question(WHAT_COLOUR, colour),
        Question(WHAT_SHAPE, name),
        Question(READ, NO_TEXT),
        _is_there(random_, colour, name),
    )
    asked = random_.choices(questions, weights=(6, 1, 1, 1.5, 1.5), k=_QUESTIONS)
    return replace(drawn, questions=tuple(asked))


def empty(random_: random.Random, grid: Grid, how: Finish, _held_out: bool) -> Example:
    """Nothing but paper."""
    height, width = pixels(grid)
    image = Image.new("RGB", (width, height), paper(random_))
    questions = (Question(READ, NO_TEXT), Question(DESCRIBE, EMPTY))
    asked = (random_.choice(questions),)
    return Example(finish(image, random_, how), asked, no_labels(grid))


def _asked(random_: random.Random, drawn: Example) -> Example:
    """Some lines are also to be described, and asked for a shape, which is not there."""
    if random_.random() >= _ASKED_MORE:
        return drawn
    absent = is_there(random_.choice(list(COLOURS)), random_.choice(SHAPES))
    more = (Question(DESCRIBE, TEXT), Question(absent, "no"))
    return replace(drawn, questions=drawn.questions + more)


def _is_there(random_: random.Random, colour: str, name: str) -> Question:
    """Half of the questions name the shape; the others are wrong in one or both words."""
    if random_.random() < 0.5:
        return Question(is_there(colour, name), "yes")
    wrong = random_.choice(("colour", "shape", "both"))
    asked_colour = random_.choice([c for c in COLOURS if c != colour])
    asked_shape = random_.choice([s for s in SHAPES if s != name])
    prompt = is_there(
        colour if wrong == "shape" else asked_colour, name if wrong == "colour" else asked_shape
    )
    return Question(prompt, "no")

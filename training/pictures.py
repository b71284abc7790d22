"""Pictures: the mixtures of lines and shapes, prompts and answers, that each phase trains on."""

import random
from dataclasses import dataclass, replace
from typing import Final

from PIL import Image

from training.canvas import COLOURS, SHAPES, Example, Finish, Grid, finish, no_labels, paper, pixels
from training.lines import READ, text_line
from training.shapes import DESCRIBE, WHAT_COLOUR, WHAT_SHAPE, is_there, single_shape

NO_TEXT: Final = "no text"
TEXT: Final = "text"
EMPTY: Final = "an empty picture"


@dataclass(frozen=True)
class Mixture:
    """What a phase shows.

    Attributes:
        grids: picture sizes in cells; one that stands twice comes twice as often.
        how: what is done to the pictures.
        empty: share of pictures without anything.
        questions: weights of a shape's questions: describe, colour, shape, read, is there.
    """

    grids: tuple[Grid, ...]
    how: Finish
    empty: float
    questions: tuple[float, float, float, float, float]


SMALL: Final = Mixture(
    grids=(
        *((1, 4), (1, 6), (1, 8), (2, 4), (2, 6), (2, 8)),
        *((3, 5), (3, 6), (3, 6), (4, 4)),
    ),
    how=Finish(noise=0.4),
    empty=0.0,
    questions=(0.7, 0.1, 0.1, 0.1, 0.0),
)
"""Small pictures, on which letters are learned cheaply."""

FRAMES: Final = Mixture(
    grids=(
        *SMALL.grids,
        *((1, 10), (2, 5), (2, 10), (2, 12), (3, 8), (4, 6), (4, 7), (4, 8)),
        *((5, 7), (5, 8), (6, 6), (6, 8), (8, 5), (5, 9), (5, 9), (5, 9)),
    ),
    how=Finish(noise=0.4, jpeg=0.15, reduced=0.3, large=0.25),
    empty=0.02,
    questions=(0.58, 0.08, 0.08, 0.14, 0.12),
)
"""All sizes up to 48 cells, small ones most; the processor makes 5 x 9 of a 16:9 frame."""


def example(random_: random.Random, grid: Grid, mixture: Mixture, longest: int = 12) -> Example:
    """Draw one training picture: three lines of text to one shape."""
    if random_.random() < mixture.empty:
        return _empty(random_, grid, mixture.how)
    if random_.random() < 0.25:
        drawn = single_shape(random_, grid, mixture.how)
        return question_on(random_, drawn, mixture)
    drawn = text_line(random_, grid, longest=longest, how=mixture.how)
    if random_.random() < 0.06:
        return replace(drawn, prompt=DESCRIBE, answer=TEXT)
    return drawn


def _empty(random_: random.Random, grid: Grid, how: Finish) -> Example:
    height, width = pixels(grid)
    image = Image.new("RGB", (width, height), paper(random_))
    prompt, answer = random_.choice(((READ, NO_TEXT), (DESCRIBE, EMPTY)))
    return Example(finish(image, random_, how), prompt, answer, no_labels(grid))


def question_on(random_: random.Random, drawn: Example, mixture: Mixture) -> Example:
    """A single shape with one of the mixture's questions instead of its description."""
    _, colour, shape = drawn.answer.split()
    asked = random_.choices(range(5), weights=mixture.questions)[0]
    prompt, answer = (
        (DESCRIBE, drawn.answer),
        (WHAT_COLOUR, colour),
        (WHAT_SHAPE, shape),
        (READ, NO_TEXT),
        _is_there(random_, colour, shape),
    )[asked]
    return replace(drawn, prompt=prompt, answer=answer)


def _is_there(random_: random.Random, colour: str, shape: str) -> tuple[str, str]:
    """Half of the questions name the shape; the others are wrong in one or both words."""
    if random_.random() < 0.5:
        return is_there(colour, shape), "yes"
    wrong = random_.choice(("colour", "shape", "both"))
    asked_colour = random_.choice([c for c in COLOURS if c != colour])
    asked_shape = random_.choice([s for s in SHAPES if s != shape])
    return is_there(
        colour if wrong == "shape" else asked_colour, shape if wrong == "colour" else asked_shape
    ), "no"

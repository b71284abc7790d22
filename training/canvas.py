"""Canvas: what all training pictures share, from cell size and labels to paper, ink and noise.

A cell is one merged visual token, 28 x 28 pixels. Each of its 16 slots, 2 bands of 14 pixels with
8 columns of 3.5 pixels, carries a dense label, used in training only: 0 for nothing, 1 + index in
`ALPHABET` for a character, `SHAPE_LABEL` + index for a shape. Two lines of small print that share
a row of cells so have their labels both. A clip has one such picture a temporal grid.
"""

import io
import random
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.scripts import characters

CELL: Final = 28
BANDS: Final = 2
COLUMNS: Final = 8
SLOTS: Final = BANDS * COLUMNS
ALPHABET: Final = (*map(chr, range(33, 127)), *characters())
CHARACTER_LABEL: Final = {character: 1 + index for index, character in enumerate(ALPHABET)}
COLOURS: Final = {
    "red": (214, 40, 40),
    "green": (40, 150, 60),
    "blue": (40, 80, 210),
    "yellow": (235, 200, 30),
    "orange": (240, 130, 20),
    "purple": (130, 50, 170),
    "black": (20, 20, 20),
    "pink": (245, 130, 180),
}
SHAPES: Final = ("circle", "square", "triangle", "star", "diamond", "cross")
SHAPE_LABEL: Final = 1 + len(ALPHABET)
LABELS: Final = SHAPE_LABEL + len(COLOURS) * len(SHAPES)

Colour = tuple[int, int, int]
Grid = tuple[int, int]
"""Cells in height and width."""


@dataclass(frozen=True)
class Mark:
    """Where in the picture the thing is that some characters speak of; used in training only.

    Attributes:
        begin: first character.
        end: behind the last one.
        cells: flat indices, temporal grids first, then rows.
        answer: whether they are characters of the answer, not of the prompt.
        band: of its cells, for a character of a line.
    """

    begin: int
    end: int
    cells: tuple[int, ...]
    answer: bool = True
    band: int | None = None


@dataclass(frozen=True)
class Question:
    """A prompt, its answer, and where in the picture both are found."""

    prompt: str
    answer: str
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class Example:
    """One picture or clip, what is asked about it, and dense labels.

    Attributes:
        picture: `uint8 (height, width, 3)`, or `(frames, height, width, 3)` for a clip.
        questions: all that training asks; the first is the one that is evaluated.
        labels: `(rows, columns of cells, SLOTS)`, with the temporal grids of a clip in front.
        fps: sampling rate of a clip, None for a picture.
        tools: JSON of each tool on offer.
        box: left, top, right and bottom of what is to be tapped, in pixels; None elsewhere.
    """

    picture: NDArray[np.uint8]
    questions: tuple[Question, ...]
    labels: NDArray[np.int64]
    fps: float | None = None
    tools: tuple[str, ...] = ()
    box: tuple[float, float, float, float] | None = None

    @property
    def prompt(self) -> str:
        """Prompt of the first question."""
        return self.questions[0].prompt

    @property
    def answer(self) -> str:
        """Answer to the first question."""
        return self.questions[0].answer


@dataclass(frozen=True)
class Finish:
    """Shares of the pictures that are worse than clean.

    Attributes:
        noise: get mild noise of 1 to 6 grey levels.
        jpeg: are compressed as JPEG.
        reduced: are drawn larger and scaled down, as a video's frames are.
        large: of the lines are of 27 to 36 pixels, where there is room.
        coloured: of the lines are in any two colours.
    """

    noise: float = 0.0
    jpeg: float = 0.0
    reduced: float = 0.0
    large: float = 0.0
    coloured: float = 0.0


CLEAN: Final = Finish()


def pixels(grid: Grid) -> tuple[int, int]:
    """Height and width of a picture of `grid` cells."""
    return grid[0] * CELL, grid[1] * CELL


def cells_around(centre: tuple[float, float], radius: float, grid: Grid) -> tuple[int, ...]:
    """Cells of a shape; `centre` is `(x, y)` in pixels."""
    x, y = centre
    return cells_in((x - radius, y - radius, x + radius, y + radius), grid)


def cells_in(box: tuple[float, float, float, float], grid: Grid) -> tuple[int, ...]:
    """Cells that a box (left, top, right, bottom, in pixels) covers by a third of their sides."""
    left, top, right, bottom = (side / CELL for side in box)
    rows, columns = _covered(top, bottom, grid[0]), _covered(left, right, grid[1])
    return tuple(row * grid[1] + column for row in rows for column in columns)


def _covered(low: float, high: float, count: int) -> list[int]:
    found = [n for n in range(count) if min(high, n + 1) - max(low, n) >= 1 / 3]
    return found or [min(max(int((low + high) / 2), 0), count - 1)]


def no_labels(grid: Grid) -> NDArray[np.int64]:
    """Dense labels of an empty picture."""
    return np.zeros((*grid, SLOTS), dtype=np.int64)


def paper(random_: random.Random) -> Colour:
    """White or a light tint."""
    if random_.random() < 0.4:
        return (255, 255, 255)
    shade = random_.randint(225, 255)
    red, green, blue = (max(200, shade - random_.randint(0, 30)) for _ in range(3))
    return red, green, blue


def ink(random_: random.Random) -> Colour:
    """Black, or a dark colour."""
    if random_.random() < 0.5:
        shade = random_.randint(0, 60)
        return (shade, shade, shade)
    red, green, blue = (random_.randint(0, 110) for _ in range(3))
    return red, green, blue


def paper_and_ink(random_: random.Random, coloured: float = 0.0) -> tuple[Colour, Colour]:
    """Dark on light, or a share of any two colours that differ enough in brightness."""
    if random_.random() >= coloured:
        return paper(random_), ink(random_)
    while True:
        below, above = (
            (random_.randrange(256), random_.randrange(256), random_.randrange(256))
            for _ in range(2)
        )
        if abs(_brightness(below) - _brightness(above)) > 95:
            return below, above


def _brightness(colour: Colour) -> float:
    red, green, blue = colour
    return 0.3 * red + 0.59 * green + 0.11 * blue


def finish(image: Image.Image, random_: random.Random, how: Finish) -> NDArray[np.uint8]:
    """Turn a drawing into the pixels that the model sees."""
    if random_.random() < how.jpeg:
        image = _compressed(image, random_.randint(55, 92))
    values = np.asarray(image)
    if random_.random() >= how.noise:
        return values
    y, x = (random_.randrange(512 - side) for side in values.shape[:2])
    noise = _noise()[y : y + values.shape[0], x : x + values.shape[1], None]
    noisy = values + ((noise * random_.randint(1, 6)) >> 4)
    clean: NDArray[np.uint8] = np.clip(noisy, 0, 255).astype(np.uint8)
    return clean


def _compressed(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


@cache
def _noise() -> NDArray[np.int16]:
    """Standard normal noise times 16, drawn once and cut at random places."""
    values = np.random.default_rng(0).standard_normal((512, 512), dtype=np.float32)
    return (values * 16).astype(np.int16)

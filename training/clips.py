"""Clips: a shape that moves or appears, what happens, and when.

The prompt gives the sampling rate, because positions of Qwen2-VL count temporal grids, not
seconds. A time is that of the first frame that shows the shape, in whole seconds, rounded down.
"""

import random
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.vlm.template import clip_question
from samples.typefaces import DEJAVU_SANS
from training import words
from training.canvas import (
    COLOURS,
    SHAPES,
    Colour,
    Example,
    Finish,
    Grid,
    Mark,
    Question,
    cells_around,
    paper,
    pixels,
)
from training.phrases import NOT_SHOWN, NOTHING
from training.scenes import Thing
from training.shapes import a_place, a_shape, draw_shape
from training.sheet import Face, Sheet

WHAT_HAPPENS: Final = "What happens?"
RATES: Final = (1.0, 2.0, 4.0)
WAYS: Final = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
_STILL: Final = 0.2
_CARDS: Final = 0.25
"""Share of the clips whose frames without a shape have another ground, and a text."""
_FACE: Final = Face(DEJAVU_SANS, 18)
_LEAVES: Final = 0.15
"""Share of the shapes that appear and are gone before the end."""
_DRIFTS: Final = 0.25
"""Share of the shapes that appear and do not stay where they are."""
Frame = list[Thing]
Grounds = tuple[Colour, Colour]


def clip(
    random_: random.Random, size: tuple[int, int, int], how: Finish, held_out: bool = False
) -> Example:
    """A clip of `size` temporal grids of two frames, and cells in height and width."""
    grid, count = size[1:], 2 * size[0]
    colour, shape = random_.choice(list(COLOURS)), random_.choice(SHAPES)
    radius = random_.uniform(8.0, min(pixels(grid)) / 3.5)
    rate = random_.choice(RATES)
    if random_.random() < 0.6:
        frames, questions = _appearing(random_, grid, count, (colour, shape), radius, rate)
    else:
        frames, question = _moving(random_, grid, count, (colour, shape), radius)
        questions = [question]
    asked = tuple(
        replace(question, prompt=clip_question(question.prompt, rate)) for question in questions
    )
    grounds, card = (paper(random_),) * 2, ""
    if random_.random() < _CARDS:
        grounds, card = (grounds[0], paper(random_)), _card(random_, grid, held_out)
    seen: dict[tuple[Thing, ...], tuple[NDArray[np.uint8], NDArray[np.int64]]] = {}
    for frame in frames:
        if (key := tuple(frame)) not in seen:
            sheet = _drawn(grid, frame, radius, grounds, card)
            seen[key] = sheet.finish(random_, how), sheet.labels
    drawn = [seen[tuple(frame)] for frame in frames]
    return Example(
        np.stack([picture for picture, _ in drawn]),
        asked,
        np.stack([seen[tuple(b or a)][1] for a, b in zip(frames[::2], frames[1::2], strict=True)]),
        fps=rate,
    )


def _drawn(grid: Grid, frame: Frame, radius: float, grounds: Grounds, card: str) -> Sheet:
    """A frame; one without shapes has the other ground and may show a text."""
    sheet = Sheet(grid, grounds[not frame], scale=2)
    if card and not frame:
        free = pixels(grid)[1] - _FACE.extent(card)[0]
        sheet.write(free // 2, pixels(grid)[0] // 2 - 9, card, _FACE, (30, 30, 30))
    for thing in frame:
        draw_shape(sheet, thing.colour, thing.shape, thing.centre, radius)
    return sheet


def _card(random_: random.Random, grid: Grid, held_out: bool) -> str:
    while _FACE.extent(text := words.line(random_, held_out, grid[1] * 2))[0] > pixels(grid)[1]:
        pass
    return text


def _moving(
    random_: random.Random, grid: Grid, count: int, name: tuple[str, str], radius: float
) -> tuple[list[Frame], Question]:
    """A shape that moves through most of the picture, or stands still."""
    begin = a_place(random_, grid, radius)
    if random_.random() < _STILL:
        return [[Thing(*name, begin)]] * count, Question(WHAT_HAPPENS, NOTHING)
    way = random_.choice(list(WAYS))
    axis = 0 if WAYS[way][0] else 1
    low, high = radius + 1, pixels(grid)[1 - axis] - radius - 1
    span = (high - low) * random_.uniform(0.6, 1.0)
    start = random_.uniform(low, high - span)
    path = np.linspace(start, start + span, count)
    if sum(WAYS[way]) < 0:
        path = path[::-1]
    frames = []
    for place in path.tolist():
        centre = (place, begin[1]) if axis == 0 else (begin[0], place)
        frames.append([Thing(*name, centre)])
    named = a_shape(*name)
    answer = f"{named} moves {way}"
    first, last = (
        _shown(grid, frames[index][0].centre, radius, index // 2) for index in (0, count - 1)
    )
    marks = (Mark(0, len(named), first), Mark(len(named), len(answer), last))
    return frames, Question(WHAT_HAPPENS, answer, marks)


def _shown(grid: Grid, centre: tuple[float, float], radius: float, time: int) -> tuple[int, ...]:
    """Cells of a shape in a temporal grid."""
    cells = cells_around(centre, radius, grid)
    return tuple(time * grid[0] * grid[1] + cell for cell in cells)


def _appearing(
    random_: random.Random,
    grid: Grid,
    count: int,
    name: tuple[str, str],
    radius: float,
    rate: float,
) -> tuple[list[Frame], list[Question]]:
    """A shape that appears, and the questions when it or another does, and what happens."""
    first = random_.randrange(1, count)
    last = random_.randint(first + 1, count) if random_.random() < _LEAVES else count
    begin = a_place(random_, grid, radius)
    end = a_place(random_, grid, radius) if random_.random() < _DRIFTS else begin
    path = np.linspace(begin, end, last - first)
    shown: list[Frame] = [[Thing(*name, (float(x), float(y)))] for x, y in path]
    frames: list[Frame] = [[]] * first + shown + [[]] * (count - last)
    mark = Mark(0, 3, _shown(grid, begin, radius, first // 2))
    asked = random_.choice([(c, s) for c in COLOURS for s in SHAPES if (c, s) != name])
    named = a_shape(*name)
    questions = [
        Question(when(*name), f"{int(first / rate)} s", (mark,)),
        Question(WHAT_HAPPENS, f"{named} appears", (replace(mark, end=len(named)),)),
        Question(when(*asked), NOT_SHOWN),
    ]
    foremost = random_.choices((0, 1, 2), weights=(0.55, 0.35, 0.1))[0]
    questions.insert(0, questions.pop(foremost))
    return frames, questions


def when(colour: str, shape: str) -> str:
    """The question when a shape appears."""
    return f"When does {a_shape(colour, shape)} appear?"

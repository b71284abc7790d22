"""Scenes: pictures of two or three shapes, what they are, how many, and where."""

import random
from dataclasses import dataclass
from typing import Final

from training.canvas import (
    CELL,
    CLEAN,
    COLOURS,
    SHAPES,
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
from training.shapes import DESCRIBE, a_place, a_shape, draw_shape, is_there, jitter
from training.sheet import Sheet

HOW_MANY: Final = "How many shapes are there?"
SIDES: Final = {
    "left of": (0, -1),
    "right of": (0, 1),
    "above": (1, -1),
    "below": (1, 1),
}
"""Axis (0: x, 1: y) and direction of each relation."""
_QUESTIONS: Final = 4
"""On a scene; equal ones are asked once."""


@dataclass(frozen=True)
class Thing:
    """One shape of a scene: its names, its centre `(x, y)` in pixels, and its cells."""

    colour: str
    shape: str
    centre: tuple[float, float]
    cells: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """Colour and shape, as questions name it."""
        return f"{self.colour} {self.shape}"


def scene(
    random_: random.Random, grid: Grid, how: Finish = CLEAN, _held_out: bool = False
) -> Example:
    """Two or three different shapes that do not touch, with questions."""
    count = random_.choice((2, 3)) if grid[0] * grid[1] >= 6 else 2
    places, radius = _places(random_, grid, count)
    names = random_.sample([(c, s) for c in COLOURS for s in SHAPES], count)
    things = [
        Thing(*name, place, cells_around(place, radius, grid))
        for name, place in zip(names, places, strict=True)
    ]
    things.sort(key=lambda thing: thing.centre)  # from left to right
    sheet = Sheet(grid, paper(random_), scale=2)
    for thing in things:
        draw_shape(sheet, thing.colour, thing.shape, thing.centre, radius, jitter(random_))
    asked = tuple(_question(random_, things) for _ in range(_QUESTIONS))
    return Example(sheet.finish(random_, how), asked, sheet.labels)


def _places(
    random_: random.Random, grid: Grid, count: int
) -> tuple[list[tuple[float, float]], float]:
    """Centres that are more than two radii apart, and the radius; smaller where room is short."""
    radius = random_.uniform(9.0, min(18.0, min(pixels(grid)) / 4))
    while True:
        places = [a_place(random_, grid, radius) for _ in range(count)]
        pairs = [(a, b) for index, a in enumerate(places) for b in places[:index]]
        if all(_apart(a, b, radius) for a, b in pairs):
            return places, radius
        radius = max(8.0, radius * 0.97)


def _apart(a: tuple[float, float], b: tuple[float, float], radius: float) -> bool:
    x, y = abs(a[0] - b[0]), abs(a[1] - b[1])
    return max(x, y) > 2.25 * radius and x > CELL / 3


def _question(random_: random.Random, things: list[Thing]) -> Question:
    kind = random_.choices(("describe", "many", "there", "side"), weights=(4, 1, 2, 4))[0]
    if kind == "describe":
        return _described(things)
    if kind == "many":
        return _how_many(random_, things)
    if kind == "there":
        return _is_there(random_, things)
    return side_question(random_, things)


def _described(things: list[Thing]) -> Question:
    answer, marks = "", []
    for thing in things:
        begin = len(answer) + 2 if answer else 0
        answer += (", " if answer else "") + a_shape(thing.colour, thing.shape)
        marks.append(Mark(begin, len(answer), thing.cells))
    return Question(DESCRIBE, answer, tuple(marks))


def _how_many(random_: random.Random, things: list[Thing]) -> Question:
    if random_.random() < 0.6:
        return Question(HOW_MANY, str(len(things)))
    shape = random_.choice([one.shape for one in things] + [random_.choice(SHAPES)])
    return Question(f"How many {shape}s?", str(sum(one.shape == shape for one in things)))


def _is_there(random_: random.Random, things: list[Thing]) -> Question:
    """Half of the shapes asked for are there; the others differ in one word or in both."""
    thing = random_.choice(things)
    if random_.random() < 0.5:
        prompt = is_there(thing.colour, thing.shape)
        return Question(prompt, "yes", (_named(prompt, thing),))
    shown = {(one.colour, one.shape) for one in things}
    while True:
        colour = random_.choice((thing.colour, random_.choice(list(COLOURS))))
        shape = random_.choice((thing.shape, random_.choice(SHAPES)))
        if (colour, shape) not in shown:
            return Question(is_there(colour, shape), "no")


def _named(prompt: str, thing: Thing) -> Mark:
    """Where a shape is named in a prompt."""
    begin = prompt.index(thing.name)
    return Mark(begin, begin + len(thing.name), thing.cells, answer=False)


def side_question(random_: random.Random, things: list[Thing]) -> Question:
    """What is on a side of a shape; the nearest one, nothing, or "not shown"."""
    side = random_.choice(list(SIDES))
    axis, direction = SIDES[side]
    if random_.random() < 0.15:
        shown = {one.name for one in things}
        absent = [f"{c} {s}" for c in COLOURS for s in SHAPES if f"{c} {s}" not in shown]
        return Question(f"What is {side} the {random_.choice(absent)}?", NOT_SHOWN)
    thing = random_.choice(things)

    def distance(one: Thing) -> float:
        return direction * (one.centre[axis] - thing.centre[axis])

    others = [one for one in things if one is not thing and _clearly(one, thing, axis, direction)]
    unclear = [one for one in things if one is not thing and abs(distance(one)) <= CELL / 3]
    if unclear:
        return side_question(random_, things)
    prompt = f"What is {side} the {thing.name}?"
    if not others:
        return Question(prompt, NOTHING, (_named(prompt, thing),))
    nearest = min(others, key=distance)
    answer = a_shape(nearest.colour, nearest.shape)
    found = Mark(0, len(answer), nearest.cells)
    return Question(prompt, answer, (_named(prompt, thing), found))


def _clearly(one: Thing, other: Thing, axis: int, direction: int) -> bool:
    return direction * (one.centre[axis] - other.centre[axis]) > CELL / 3

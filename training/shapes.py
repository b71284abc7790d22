"""Shapes: pictures of one filled shape of one colour, and the questions on it."""

import math
import random
from typing import Final

from training.canvas import CLEAN, COLOURS, SHAPES, Example, Finish, Grid, Question, paper, pixels
from training.sheet import Sheet

DESCRIBE: Final = "Describe the picture."
WHAT_COLOUR: Final = "What colour is the shape?"
WHAT_SHAPE: Final = "What shape is it?"
_TURNS: Final = {
    "square": range(45, 405, 90),
    "triangle": (270, 30, 150),
    "star": range(270, 630, 36),
}
_RADII: Final = {"square": (1.2,), "triangle": (1.15,), "star": (1.1, 0.45)}


def a_shape(colour: str, shape: str) -> str:
    """A shape with its colour and article: "an orange star"."""
    return f"{'an' if colour[0] in 'aeiou' else 'a'} {colour} {shape}"


def is_there(colour: str, shape: str) -> str:
    """The question whether the picture shows a shape."""
    return f"Is there {a_shape(colour, shape)}?"


def single_shape(random_: random.Random, grid: Grid, how: Finish = CLEAN) -> Example:
    """One shape anywhere in the picture, to be described."""
    height, width = pixels(grid)
    most = min(height, width) / 2 - 2
    radius = random_.uniform(max(10.0, most * 0.35), most)
    centre = a_place(random_, grid, radius)
    colour, shape = random_.choice(list(COLOURS)), random_.choice(SHAPES)
    sheet = Sheet(grid, paper(random_), scale=2)
    draw_shape(sheet, colour, shape, centre, radius, jitter(random_))
    return Example(
        sheet.finish(random_, how), (Question(DESCRIBE, a_shape(colour, shape)),), sheet.labels
    )


def a_place(random_: random.Random, grid: Grid, radius: float) -> tuple[float, float]:
    """A centre `(x, y)` in pixels from which a shape of a radius stays in the picture."""
    height, width = pixels(grid)
    x = random_.uniform(radius + 1, width - radius - 1)
    return x, random_.uniform(radius + 1, height - radius - 1)


def jitter(random_: random.Random) -> tuple[int, int, int]:
    """How far a shape's colour is from the pure one."""
    red, green, blue = (random_.randint(-12, 12) for _ in range(3))
    return red, green, blue


def draw_shape(
    sheet: Sheet,
    colour: str,
    shape: str,
    centre: tuple[float, float],
    radius: float,
    off: tuple[int, int, int] = (0, 0, 0),
) -> None:
    """Draw and label a shape; sizes in pixels of the finished picture."""
    x, y = centre
    fill = tuple(min(max(c + d, 0), 255) for c, d in zip(COLOURS[colour], off, strict=True))
    box = (x - radius, y - radius, x + radius, y + radius)
    if shape == "circle":
        sheet.draw.ellipse([sheet.scale * side for side in box], fill=fill)
    else:
        corners = _outline(shape, x, y, radius)
        sheet.draw.polygon([(sheet.scale * a, sheet.scale * b) for a, b in corners], fill=fill)
    sheet.label_shape(box, colour, shape)


def _outline(shape: str, x: float, y: float, radius: float) -> list[tuple[float, float]]:
    if shape == "diamond":
        half = radius * 0.65
        return [(x, y - radius), (x + half, y), (x, y + radius), (x - half, y)]
    if shape == "cross":
        arm = radius * 0.33
        corners = [(-1, -3), (1, -3), (1, -1), (3, -1), (3, 1), (1, 1)]
        corners += [(-a, -b) for a, b in corners]
        return [(x + a * arm, y + b * arm) for a, b in corners]
    radii = _RADII[shape]
    return [
        (
            x + radius * radii[k % len(radii)] * math.cos(math.radians(angle)),
            y + radius * radii[k % len(radii)] * math.sin(math.radians(angle)),
        )
        for k, angle in enumerate(_TURNS[shape])
    ]

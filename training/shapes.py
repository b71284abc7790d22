"""Shapes: pictures of one filled shape of one colour, and questions on them."""

import math
import random
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from training.canvas import (
    CELL,
    CLEAN,
    COLOURS,
    COLUMNS,
    SHAPE_LABEL,
    SHAPES,
    Example,
    Finish,
    Grid,
    finish,
    no_labels,
    paper,
    pixels,
)

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
    x = random_.uniform(radius + 1, width - radius - 1)
    y = random_.uniform(radius + 1, height - radius - 1)
    colour, shape = random_.choice(list(COLOURS)), random_.choice(SHAPES)
    jitter = [random_.randint(-12, 12) for _ in range(3)]
    fill = tuple(min(max(c + d, 0), 255) for c, d in zip(COLOURS[colour], jitter, strict=True))
    image = Image.new("RGB", (width * 2, height * 2), paper(random_))
    draw = ImageDraw.Draw(image)
    if shape == "circle":
        box = [2 * (x - radius), 2 * (y - radius), 2 * (x + radius), 2 * (y + radius)]
        draw.ellipse(box, fill=fill)
    else:
        draw.polygon([(2 * a, 2 * b) for a, b in _outline(shape, x, y, radius)], fill=fill)
    picture = finish(image.reduce(2), random_, how)
    label = SHAPE_LABEL + list(COLOURS).index(colour) * len(SHAPES) + SHAPES.index(shape)
    return Example(picture, DESCRIBE, a_shape(colour, shape), _labels(x, y, radius, grid, label))


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


def _labels(x: float, y: float, radius: float, grid: Grid, label: int) -> NDArray[np.int64]:
    labels = no_labels(grid)
    rows = (np.arange(grid[0]) + 0.5) * CELL
    columns = (np.arange(grid[1] * COLUMNS) + 0.5) * (CELL / COLUMNS)
    near = np.abs(rows - y) <= max(radius, CELL / 2)
    inside = np.abs(columns - x) <= radius
    labels[(near[:, None] & inside[None, :]).reshape(labels.shape)] = label
    return labels

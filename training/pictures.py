"""Pictures: lines of text and single shapes, drawn for training with labels for every cell.

A cell is one merged visual token, 28 x 28 pixels. Each of its 8 columns of 3.5 pixels carries a
dense label, used in training only: 0 for nothing, 1 + index in `ALPHABET` for a character,
`SHAPE_LABEL` + index for a shape.
"""

import math
import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from training import words

CELL: Final = 28
COLUMNS: Final = 8
ALPHABET: Final = "".join(chr(code) for code in range(33, 127))
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

FONT_ROOT: Final = Path("/usr/share/fonts/truetype")
FONTS: Final = (
    "dejavu/DejaVuSans.ttf",
    "dejavu/DejaVuSans-Bold.ttf",
    "dejavu/DejaVuSerif.ttf",
    "liberation/LiberationSans-Regular.ttf",
    "liberation/LiberationSans-Bold.ttf",
    "liberation/LiberationSerif-Regular.ttf",
    "noto/NotoSans-Regular.ttf",
    "noto/NotoSerif-Regular.ttf",
    "lato/Lato-Regular.ttf",
    "open-sans/OpenSans-Regular.ttf",
    "crosextra/Carlito-Regular.ttf",
)
GRIDS: Final = (
    *((1, 4), (1, 6), (1, 8), (2, 4), (2, 6), (2, 8)),
    *((3, 5), (3, 6), (3, 6), (4, 4)),
)
"""Sizes in cells, height by width; 3 x 6 is a reduced frame of 16:9 video."""


@dataclass(frozen=True)
class Example:
    """One training picture: `uint8 (height, width, 3)`, its prompt, answer and dense labels."""

    picture: NDArray[np.uint8]
    prompt: str
    answer: str
    labels: NDArray[np.int64]


@cache
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    path = str(FONT_ROOT / name)
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


def _background(random_: random.Random) -> tuple[int, int, int]:
    """White or a light tint."""
    if random_.random() < 0.4:
        return (255, 255, 255)
    shade = random_.randint(225, 255)
    red, green, blue = (max(200, shade - random_.randint(0, 30)) for _ in range(3))
    return red, green, blue


def _ink(random_: random.Random) -> tuple[int, int, int]:
    if random_.random() < 0.5:
        shade = random_.randint(0, 60)
        return (shade, shade, shade)
    red, green, blue = (random_.randint(0, 110) for _ in range(3))
    return red, green, blue


@cache
def _noise() -> NDArray[np.int16]:
    """Standard normal noise times 16, drawn once and cut at random places."""
    values = np.random.default_rng(0).standard_normal((512, 512), dtype=np.float32)
    return (values * 16).astype(np.int16)


def _finish(image: Image.Image, random_: random.Random) -> NDArray[np.uint8]:
    pixels = np.asarray(image)
    if random_.random() >= 0.4:
        return pixels
    y, x = random_.randrange(512 - pixels.shape[0]), random_.randrange(512 - pixels.shape[1])
    noise = _noise()[y : y + pixels.shape[0], x : x + pixels.shape[1], None]
    noisy = pixels + ((noise * random_.randint(1, 6)) >> 4)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def text_line(
    random_: random.Random, grid: tuple[int, int], held_out: bool, longest: int
) -> Example:
    """A line of words and numbers, dark on light, anywhere in the picture."""
    height, width = grid[0] * CELL, grid[1] * CELL
    while True:
        text = words.line(random_, held_out, longest)
        font = _font(random_.choice(FONTS), random_.randint(17, 26))
        _, top, right, bottom = font.getbbox(text)
        if right <= width - 2 and bottom - top <= height - 2:
            break
    x = random_.randint(0, int(width - right) - 1)
    y = random_.randint(1, int(height - (bottom - top)) - 1)
    if random_.random() < 0.3:  # titles stand in the middle
        x, y = int(width - right) // 2, int(height - (bottom - top)) // 2
    image = Image.new("RGB", (width, height), _background(random_))
    ImageDraw.Draw(image).text((x, y - top), text, font=font, fill=_ink(random_))
    edges = [x + font.getlength(text[:index]) for index in range(len(text) + 1)]
    labels = _text_labels(text, edges, y + (bottom - top) / 2, grid)
    return Example(_finish(image, random_), "Read the text.", text, labels)


def _text_labels(
    text: str, edges: list[float], middle: float, grid: tuple[int, int]
) -> NDArray[np.int64]:
    columns = np.zeros(grid[1] * COLUMNS, dtype=np.int64)
    centres = (np.arange(len(columns)) + 0.5) * (CELL / COLUMNS)
    for character, begin, end in zip(text, edges, edges[1:], strict=False):
        if character != " ":
            columns[(centres >= begin) & (centres < end)] = 1 + ALPHABET.index(character)
    labels = np.zeros((*grid, COLUMNS), dtype=np.int64)
    labels[min(int(middle // CELL), grid[0] - 1)] = columns.reshape(grid[1], COLUMNS)
    return labels


def _outline(shape: str, x: float, y: float, radius: float) -> list[tuple[float, float]]:
    if shape == "square":
        angles, radii = [45, 135, 225, 315], [1.2]
    elif shape == "triangle":
        angles, radii = [270, 30, 150], [1.15]
    elif shape == "diamond":
        return [(x, y - radius), (x + radius * 0.65, y), (x, y + radius), (x - radius * 0.65, y)]
    elif shape == "star":
        angles, radii = [270 + 36 * k for k in range(10)], [1.1, 0.45]
    else:
        arm = radius * 0.33
        corners = [(-1, -3), (1, -3), (1, -1), (3, -1), (3, 1), (1, 1)]
        corners += [(-a, -b) for a, b in corners]
        return [(x + a * arm, y + b * arm) for a, b in corners]
    return [
        (
            x + radius * radii[k % len(radii)] * math.cos(math.radians(angle)),
            y + radius * radii[k % len(radii)] * math.sin(math.radians(angle)),
        )
        for k, angle in enumerate(angles)
    ]


def single_shape(random_: random.Random, grid: tuple[int, int]) -> Example:
    """One filled shape of one colour, anywhere in the picture."""
    height, width = grid[0] * CELL, grid[1] * CELL
    most = min(height, width) / 2 - 2
    radius = random_.uniform(max(10.0, most * 0.35), most)
    x = random_.uniform(radius + 1, width - radius - 1)
    y = random_.uniform(radius + 1, height - radius - 1)
    colour, shape = random_.choice(list(COLOURS)), random_.choice(SHAPES)
    jitter = [random_.randint(-12, 12) for _ in range(3)]
    fill = tuple(min(max(c + d, 0), 255) for c, d in zip(COLOURS[colour], jitter, strict=True))
    image = Image.new("RGB", (width * 2, height * 2), _background(random_))
    draw = ImageDraw.Draw(image)
    if shape == "circle":
        draw.ellipse(
            [2 * (x - radius), 2 * (y - radius), 2 * (x + radius), 2 * (y + radius)], fill=fill
        )
    else:
        draw.polygon([(2 * a, 2 * b) for a, b in _outline(shape, x, y, radius)], fill=fill)
    image = image.reduce(2)
    labels = _shape_labels(x, y, radius, grid, list(COLOURS).index(colour), SHAPES.index(shape))
    prompt, answer = _shape_question(random_, colour, shape)
    return Example(_finish(image, random_), prompt, answer, labels)


def _shape_labels(
    x: float, y: float, radius: float, grid: tuple[int, int], colour: int, shape: int
) -> NDArray[np.int64]:
    labels = np.zeros((*grid, COLUMNS), dtype=np.int64)
    rows = (np.arange(grid[0]) + 0.5) * CELL
    columns = (np.arange(grid[1] * COLUMNS) + 0.5) * (CELL / COLUMNS)
    near = np.abs(rows - y) <= max(radius, CELL / 2)
    inside = np.abs(columns - x) <= radius
    mask = near[:, None] & inside[None, :]
    labels[mask.reshape(labels.shape)] = SHAPE_LABEL + colour * len(SHAPES) + shape
    return labels


def _shape_question(random_: random.Random, colour: str, shape: str) -> tuple[str, str]:
    choice = random_.random()
    if choice < 0.7:
        article = "an" if colour[0] in "aeiou" else "a"
        return "Describe the picture.", f"{article} {colour} {shape}"
    if choice < 0.8:
        return "What colour is the shape?", colour
    if choice < 0.9:
        return "What shape is it?", shape
    return "Read the text.", "no text"


def example(
    random_: random.Random, grid: tuple[int, int], *, held_out: bool = False, longest: int = 12
) -> Example:
    """Draw one picture of a mixture: three lines of text to one shape."""
    if random_.random() < 0.25:
        return single_shape(random_, grid)
    drawn = text_line(random_, grid, held_out, min(longest, grid[1] * 2))
    if not held_out and random_.random() < 0.06:
        return Example(drawn.picture, "Describe the picture.", "text", drawn.labels)
    return drawn

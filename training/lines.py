"""Lines: pictures of one line of printed words and numbers, dark on light."""

import random
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from training import words
from training.canvas import (
    ALPHABET,
    CELL,
    CLEAN,
    COLUMNS,
    Example,
    Finish,
    Grid,
    finish,
    ink,
    no_labels,
    paper,
    pixels,
)

READ: Final = "Read the text."
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
"""Debian's fonts-dejavu, -liberation, -noto-core, -lato, -open-sans and -crosextra-carlito."""


@cache
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    path = str(FONT_ROOT / name)
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


def text_line(
    random_: random.Random,
    grid: Grid,
    *,
    held_out: bool = False,
    longest: int = words.MAX_CHARACTERS,
    how: Finish = CLEAN,
) -> Example:
    """A line that fits, anywhere in the picture; three in ten in the middle, as titles are.

    Args:
        random_: source of all choices.
        grid: cells of the picture.
        held_out: draw the words and numbers that training never shows.
        longest: most characters.
        how: what is done to the picture.
    """
    height, width = pixels(grid)
    scale = random_.choice((2, 3)) if random_.random() < how.reduced else 1
    height, width = height * scale, width * scale
    while True:
        text = words.line(random_, held_out, min(longest, grid[1] * 2))
        font = _font(random_.choice(FONTS), _size(random_, grid, how) * scale)
        _, top, right, bottom = font.getbbox(text)
        tall = bottom - top
        if right <= width - 2 * scale and tall <= height - 2 * scale:
            break
    x = random_.randint(0, int(width - right) - 1)
    y = random_.randint(1, int(height - tall) - 1)
    if random_.random() < 0.3:
        x, y = int(width - right) // 2, int(height - tall) // 2
    image = Image.new("RGB", (width, height), paper(random_))
    ImageDraw.Draw(image).text((x, y - top), text, font=font, fill=ink(random_))
    if scale > 1:
        image = image.resize((width // scale, height // scale), Image.Resampling.BICUBIC)
    edges = [(x + font.getlength(text[:index])) / scale for index in range(len(text) + 1)]
    labels = _labels(text, edges, (y + tall / 2) / scale, grid)
    return Example(finish(image, random_, how), READ, text, labels)


def _size(random_: random.Random, grid: Grid, how: Finish) -> int:
    if grid[0] > 1 and random_.random() < how.large:
        return random_.randint(27, 36)
    return random_.randint(17, 26)


def _labels(text: str, edges: list[float], middle: float, grid: Grid) -> NDArray[np.int64]:
    columns = np.zeros(grid[1] * COLUMNS, dtype=np.int64)
    centres = (np.arange(len(columns)) + 0.5) * (CELL / COLUMNS)
    for character, begin, end in zip(text, edges, edges[1:], strict=False):
        if character != " ":
            columns[(centres >= begin) & (centres < end)] = 1 + ALPHABET.index(character)
    labels = no_labels(grid)
    labels[min(int(middle // CELL), grid[0] - 1)] = columns.reshape(grid[1], COLUMNS)
    return labels

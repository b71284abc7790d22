"""Sheet: a picture that is being drawn, with the dense labels of what stands in it."""

import random
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from samples.typefaces import Typeface, visible
from training import fonts
from training.canvas import (
    BANDS,
    CELL,
    CHARACTER_LABEL,
    COLOURS,
    COLUMNS,
    SHAPE_LABEL,
    SHAPES,
    Colour,
    Finish,
    Grid,
    Mark,
    cells_in,
    finish,
    no_labels,
    paper_and_ink,
    pixels,
)

_WIDTH: Final = CELL / COLUMNS
_HEIGHT: Final = CELL / BANDS

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels of the finished picture."""


class Sheet:
    """A drawing of `grid` cells; all places are in pixels of the finished picture.

    It may be drawn larger, by a whole `scale`, and is reduced when it is finished.
    """

    def __init__(self, grid: Grid, paper: Colour, scale: int = 1) -> None:
        height, width = pixels(grid)
        self.grid, self.scale = grid, scale
        self.image = Image.new("RGB", (width * scale, height * scale), paper)
        self.draw = ImageDraw.Draw(self.image)
        self.labels = no_labels(grid)

    def write(
        self, left: float, top: float, text: str, face: "Face", colour: Colour, at: int = 0
    ) -> list[Mark]:
        """Print a line; `left` and `top` are those of its box.

        Returns:
            Where each of its characters stands, for an answer that holds the line from character
            `at` on.
        """
        font, shown = face.at(self.scale), face.shown(text)
        box = font.getbbox(shown)
        x, y = left * self.scale, top * self.scale
        self.draw.text((x, y - box[1]), shown, font=font, fill=colour)
        middle = top + (box[3] - box[1]) / 2 / self.scale
        backwards = face.language == "arabic"
        places = np.array(fonts.edges(face.at(1), text, right_to_left=backwards))
        number, band = divmod(min(int(middle // _HEIGHT), self.grid[0] * BANDS - 1), BANDS)
        self._label(self._slots()[number, :, band], text, left, places, backwards=backwards)
        ends = left + (places[-1] - places if backwards else places)
        above, below = float(number * CELL), float((number + 1) * CELL)
        return [
            Mark(
                at + n,
                at + n + 1,
                cells_in((min(a, b), above, max(a, b), below), self.grid),
                band=band,
            )
            for n, (a, b) in enumerate(pairwise(ends.tolist()))
        ]

    def _slots(self) -> NDArray[np.int64]:
        """The labels as `(rows, columns of cells, BANDS, COLUMNS)`."""
        return self.labels.reshape(*self.grid, BANDS, COLUMNS)

    def _label(
        self,
        slots: NDArray[np.int64],
        text: str,
        left: float,
        places: NDArray[np.float64],
        *,
        backwards: bool,
    ) -> None:
        centres = (np.arange(slots.size) + 0.5) * _WIDTH
        along = left + places[-1] - centres if backwards else centres - left
        index = np.searchsorted(places, along, side="right") - 1
        for column in np.flatnonzero((along >= 0) & (index < len(text))):
            character = text[index[column]]
            if character != " ":
                slots[divmod(column, COLUMNS)] = CHARACTER_LABEL.get(character, 0)

    def label_shape(self, box: Box, colour: str, shape: str) -> None:
        """Note a coloured shape in the slots whose middle it covers."""
        left, top, right, bottom = box
        least = _HEIGHT / 2
        label = SHAPE_LABEL + list(COLOURS).index(colour) * len(SHAPES) + SHAPES.index(shape)
        y = (np.arange(self.grid[0] * BANDS) + 0.5) * _HEIGHT
        x = (np.arange(self.grid[1] * COLUMNS) + 0.5) * _WIDTH
        centre, half = (top + bottom) / 2, max((bottom - top) / 2, least)
        inside = (np.abs(y - centre) <= half)[:, None] & ((x >= left) & (x <= right))[None, :]
        by_band = inside.reshape(self.grid[0], BANDS, self.grid[1], COLUMNS)
        self._slots()[by_band.transpose(0, 2, 1, 3)] = label

    def finish(self, random_: random.Random, how: Finish) -> NDArray[np.uint8]:
        """The pixels that the model sees."""
        image = self.image
        if self.scale > 1:
            size = (image.width // self.scale, image.height // self.scale)
            image = image.resize(size, Image.Resampling.BICUBIC)
        return finish(image, random_, how)


class Face:
    """A typeface of a size for a language."""

    def __init__(self, typeface: Typeface, size: int, language: str = "english") -> None:
        self.typeface, self.size, self.language = typeface, size, language

    def at(self, scale: int) -> ImageFont.FreeTypeFont:
        """The font for a sheet of a scale."""
        return fonts.font(self.typeface, self.size * scale)

    def shown(self, text: str) -> str:
        """What is printed for a line: its letters from left to right."""
        return visible(text) if self.language == "arabic" else text

    def extent(self, text: str) -> tuple[float, float]:
        """Width and height of a line's ink box."""
        _, top, right, bottom = self.at(1).getbbox(self.shown(text))
        return float(right), float(bottom - top)

    @classmethod
    def any(cls, random_: random.Random, size: int, language: str = "english") -> "Face":
        """One of a language's fonts."""
        return cls(random_.choice(fonts.printing(language)), size, language)


def lone_line(
    random_: random.Random, grid: Grid, how: Finish, text: str, sizes: tuple[int, int], at: int = 0
) -> tuple[Sheet, list[Mark]]:
    """A sheet with one English line anywhere, and where its characters stand.

    Args:
        random_: source of all choices.
        grid: cells of the picture.
        how: what is done to the picture; the sheet is not finished yet.
        text: the line.
        sizes: least and largest height of the letters in pixels.
        at: where in the answer the line begins.
    """
    height, width = pixels(grid)
    while True:
        face = Face.any(random_, random_.randint(*sizes))
        wide, tall = face.extent(text)
        if wide <= width - 2 and tall <= height - 2:
            break
    below, above = paper_and_ink(random_, how.coloured)
    sheet = Sheet(grid, below)
    left = random_.randint(0, int(width - wide) - 1)
    top = random_.randint(1, int(height - tall) - 1)
    return sheet, sheet.write(left, top, text, face, above, at)

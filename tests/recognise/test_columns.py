"""Lines that were found through two columns are cut where the gap is; a line of a title is not."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pipeline.recognise.columns import parted
from samples.typefaces import NOTO_SANS

STEP, SIZE = 36, 24


def page(rows: int) -> Image.Image:
    """Two columns of prose, 22 pixels apart, below a title as wide as both."""
    image = Image.new("RGB", (1040, 120 + rows * STEP), "white")
    pen, face = ImageDraw.Draw(image), NOTO_SANS.at(SIZE)
    pen.text(
        (50, 20),
        "A title that is as wide as the two columns below it, or wider " * 2,
        "black",
        face,
    )
    for row in range(rows):
        for left in (50, 536):
            pen.text(
                (left, 100 + row * STEP), "words that fill a column of the page" * 2, "black", face
            )
        image.paste("white", (514, 90, 536, image.height))
    image.paste("white", (1000, 0, 1040, image.height))
    return image


def box(left: int, right: int, row: int) -> NDArray[np.float64]:
    top = 100 + row * STEP
    return np.array([(left, top), (right, top), (right, top + 30), (left, top + 30)], np.float64)


def test_a_line_through_two_columns_is_cut_in_the_gap() -> None:
    picture = np.asarray(page(10))
    title = np.array([(50, 20), (1000, 20), (1000, 50), (50, 50)], np.float64)
    apart = [box(left, right, row) for row in range(7) for left, right in ((48, 518), (532, 1002))]
    through = [box(48, 1002, row) for row in (7, 8, 9)]
    found = parted(picture, [title, *apart, *through])
    assert [one.tolist() for one in found[:15]] == [one.tolist() for one in (title, *apart)]
    assert len(found) == 1 + 14 + 6
    for left, right in zip(found[15::2], found[16::2], strict=True):
        assert 514 <= left[1][0] == right[0][0] <= 536


def test_a_page_of_one_column_is_left_alone() -> None:
    lines = [box(48, 1002, row) for row in range(12)]
    picture = np.full((700, 1040, 3), 255, np.uint8)
    assert [one.tolist() for one in parted(picture, lines)] == [one.tolist() for one in lines]


def test_nothing_is_nothing() -> None:
    assert parted(np.zeros((9, 9, 3), np.uint8), []) == []

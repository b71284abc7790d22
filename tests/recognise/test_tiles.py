"""Pictures of any shape are read at full size, and every pixel of them is seen once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pipeline.recognise import Recogniser
from pipeline.recognise.tiles import LONGEST, tiles
from samples.typefaces import NOTO_SANS

Picture = NDArray[np.uint8]


@given(st.integers(1, 4500), st.integers(1, 4500), st.integers(0, 9))
def test_tiles_cover_a_picture_once(height: int, width: int, seed: int) -> None:
    height, width = (height, min(width, 90)) if seed % 2 else (min(height, 90), width)
    picture = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    whole, seen = np.zeros_like(picture), np.zeros((height, width), np.int64)
    for left, top, tile in tiles(picture):
        assert max(tile.shape) <= LONGEST
        assert max(tile.shape) <= 4 * min(tile.shape[:2]) + 4
        here = np.s_[top : top + tile.shape[0], left : left + tile.shape[1]]
        inside = tile[: height - top, : width - left]
        rest = whole[here]
        rest[: inside.shape[0], : inside.shape[1]] = inside[: rest.shape[0], : rest.shape[1]]
        seen[here] += 1
    assert (whole == picture).all()
    assert seen.min() == 1


def long_page(lines: int, width: int, step: int, size: int) -> Image.Image:
    image = Image.new("RGB", (width, lines * step), "white")
    pen = ImageDraw.Draw(image)
    for number in range(lines):
        pen.text((20, number * step), f"Message {number:03}", "black", NOTO_SANS.at(size))
    return image


@pytest.mark.ci
def test_a_long_picture_is_read_whole() -> None:
    """A chat on a phone, saved as one picture: no line is cut in two or read twice."""
    image = long_page(150, 400, 60, 26)
    lines = Recogniser(1).read(np.asarray(image))
    assert [line.text for line in lines] == [f"Message {number:03}" for number in range(150)]
    for number, line in enumerate(lines):
        assert number * 60 <= (line.box[1] + line.box[3]) / 2 <= (number + 1) * 60


@pytest.mark.ci
@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (20, 4000), (4000, 20)])
def test_an_oblong_picture_without_text_has_no_lines(shape: tuple[int, int]) -> None:
    picture = np.full((*shape, 3), 255, np.uint8)
    assert not [line for line in Recogniser(1).read(picture) if line.text]


@pytest.mark.ci
def test_a_banner_is_read() -> None:
    image = Image.new("RGB", (5000, 40), "white")
    pen = ImageDraw.Draw(image)
    for place in range(10):
        pen.text((100 + 500 * place, 2), f"Gate {place + 10}", "black", NOTO_SANS.at(28))
    lines = Recogniser(1).read(np.asarray(image))
    assert [line.text for line in lines] == [f"Gate {place + 10}" for place in range(10)]

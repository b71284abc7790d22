"""Boxes are read column by column where they are prose, else row by row."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.recognise.order import Box, reading_order, straight


def line(x: int, y: int, length: int = 300, height: int = 20) -> Box:
    return x, y, x + length, y + height


def test_two_columns_below_a_title() -> None:
    title = line(100, 0, 600, 40)
    left = [line(50, 100 + 30 * n) for n in range(10)]
    right = [line(450, 112 + 30 * n) for n in range(9)]  # its lines lie between those of the left
    foot = line(350, 900, 60)
    wanted = [title, *left, *right, foot]
    for seed in range(5):
        mixed = list(np.random.default_rng(seed).permutation(len(wanted)))
        found = reading_order([wanted[index] for index in mixed])
        assert [mixed[index] for index in found] == list(range(len(wanted)))


def test_columns_that_reach_into_their_gap_and_a_number_below_it() -> None:
    left = [line(50, 100 + 30 * n, 352) for n in range(10)]
    right = [line(398, 100 + 30 * n, 350) for n in range(10)]
    foot = line(388, 460, 24)
    wanted = [*left, *right, foot]
    assert reading_order(wanted) == list(range(21))


def test_lines_of_a_page_askew_are_straightened() -> None:
    angle = np.radians(1.5)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    lines = [
        np.array([(x, y), (x + 300, y), (x + 300, y + 20), (x, y + 20)], np.float64)
        for x in (50, 380)
        for y in range(100, 1600, 30)
    ]
    upright = [np.array([(900, 0), (920, 0), (920, 2), (900, 2)], np.float64)[[1, 2, 3, 0]]]
    found = straight([one @ turn for one in lines + upright])
    for one, wanted in zip(found, lines, strict=False):
        assert np.abs(one - wanted).max() < 0.01


def test_the_cells_of_a_table_are_read_row_by_row() -> None:
    cells = [line(x, y, 60) for y in (0, 40, 80, 120) for x in (0, 200, 400)]
    assert reading_order(cells) == list(range(12))


def test_words_of_one_row() -> None:
    assert reading_order([line(300, 3, 80), line(0, 0, 80), line(150, 5, 80)]) == [1, 2, 0]


def test_nothing_and_one() -> None:
    assert reading_order([]) == []
    assert reading_order([line(0, 0)]) == [0]


@given(
    st.lists(
        st.tuples(
            *(st.integers(0, 300) for _ in range(2)), *(st.integers(1, 200) for _ in range(2))
        ),
        max_size=40,
    )
)
def test_every_box_is_read_once(places: list[tuple[int, int, int, int]]) -> None:
    boxes = [(x, y, x + width, y + height) for x, y, width, height in places]
    assert sorted(reading_order(boxes)) == list(range(len(boxes)))

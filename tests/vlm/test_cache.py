"""Room for keys and values: it grows in steps, and not beyond what was admitted."""

import pytest
import torch

from pipeline.vlm.cache import MOST_CELLS, Cells, Shape

SHAPE = Shape(1, 1, 1, torch.float32, torch.device("cpu"))


def room(cells: Cells) -> int:
    return cells.keys.shape[1] * cells.keys.shape[3]


@pytest.mark.parametrize(
    "steps",
    [
        [(64, 900), (2, 30_000)],
        [(2, 30_000), (64, 900)],
        [(1, 40_000), (1, 40_001), (1, 65_000)],
        [(n, 1000) for n in range(1, 65)],
    ],
)
def test_many_short_rows_and_few_long_ones_take_no_more_than_either(
    steps: list[tuple[int, int]],
) -> None:
    cells = Cells(SHAPE)
    for rows, length in steps:
        cells.reserve(rows, length)
        assert cells.keys.shape[1] >= rows
        assert cells.keys.shape[3] >= length
        assert room(cells) <= MOST_CELLS


def test_what_is_there_stays_where_it_is() -> None:
    cells = Cells(SHAPE)
    cells.reserve(3, 4)
    cells.keys[0, :3, 0, :4, 0] = torch.arange(12.0).view(3, 4)
    cells.reserve(3, 20_000)
    assert torch.equal(cells.keys[0, :3, 0, :4, 0], torch.arange(12.0).view(3, 4))

"""Cache: keys and values of what was read, so that nothing is read twice.

What prompts have in common is kept once, for as long as one of them is being answered. What a
prompt has to itself stands in cells that are written in place, and its answer after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Positions = NDArray[np.int64]

MOST_CELLS: Final = 65536
"""Tokens that rows and prefixes may come to have in the cache, answers included."""
_SHORT: Final = 128
"""Tokens of a prefix that are copied for each row: that a prefix is attended to on its own costs
more than to read so many again and again."""


class Shape(NamedTuple):
    """What keys and values of a model look like."""

    layers: int
    heads: int
    width: int
    dtype: torch.dtype
    device: torch.device

    def room(self, *rows: int, cells: int) -> Tensor:
        """Room for keys or values, `(layers, *rows, heads, cells, width)`.

        Zeros, since a cell that is not in use has a weight of 0, and 0 times NaN is NaN.
        """
        size = (self.layers, *rows, self.heads, cells, self.width)
        return torch.zeros(size, dtype=self.dtype, device=self.device)


@dataclass(eq=False)
class Prefix:
    """The beginning of prompts, all of their visual tokens in it.

    Attributes:
        ids: tokens, at least one.
        positions: `(3, n)`.
        places: where visual tokens stand.
        visual: these, `(k, hidden)` for each picture or clip, in the order of the places.
        keys: `(layers, heads, n, width)`, while it is in the cache, else None.
        values: as the keys.
    """

    ids: Sequence[int]
    positions: Positions
    places: Sequence[int]
    visual: Sequence[NDArray[np.generic]]
    keys: Tensor | None = None
    values: Tensor | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def is_copied(self) -> bool:
        """Whether each row has it in its own cells."""
        return len(self) <= _SHORT

    def reserve(self, shape: Shape) -> None:
        """Make room to read it."""
        self.keys, self.values = (shape.room(cells=len(self)) for _ in range(2))

    def free(self) -> None:
        """Take it out of the cache."""
        self.keys = self.values = None

    @property
    def cells(self) -> tuple[Tensor, Tensor]:
        """Keys and values of one that is in the cache."""
        assert self.keys is not None
        assert self.values is not None
        return self.keys, self.values


class Cells:
    """Keys and values of what rows have to themselves, `(layers, rows, heads, cells, width)`.

    Each row's tokens stand in its cells from the left.
    """

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self.keys, self.values = (shape.room(0, cells=0) for _ in range(2))

    def reserve(self, rows: int, cells: int) -> None:
        """Make room for so many rows, those that are there among them, of so many cells each.

        Where it grows it doubles, so that a cell is seldom copied, but never beyond `MOST_CELLS`
        for the sake of what may come.
        """
        had_rows, had_cells = self.keys.shape[1], self.keys.shape[3]
        if rows > had_rows or cells > had_cells:
            needed = rows
            rows = max(rows, 2 * had_rows) if rows > had_rows else had_rows
            more = max(cells, 2 * had_cells) if cells > had_cells else had_cells
            if rows * more > MOST_CELLS:
                rows, more = needed, max(cells, min(more, MOST_CELLS // needed))
            cells = more
            self.keys, self.values = (
                self._grown(self.keys, rows, cells),
                self._grown(self.values, rows, cells),
            )

    def _grown(self, had: Tensor, rows: int, cells: int) -> Tensor:
        grown = self._shape.room(rows, cells=cells)
        rows, cells = min(rows, had.shape[1]), min(cells, had.shape[3])
        grown[:, :rows, :, :cells] = had[:, :rows, :, :cells]
        return grown

    def write(self, layer: int, at: tuple[Tensor, Tensor], keys: Tensor, values: Tensor) -> None:
        """Write tokens, `(heads, tokens, width)`, at a row and a cell each."""
        rows, cells = at
        self.keys[layer][rows, :, cells] = keys.transpose(0, 1)
        self.values[layer][rows, :, cells] = values.transpose(0, 1)

    def copy(self, prefix: Prefix, row: int) -> None:
        """Put a prefix at the beginning of a row."""
        self.keys[:, row, :, : len(prefix)], self.values[:, row, :, : len(prefix)] = prefix.cells

    def move(self, source: int, target: int, cells: int) -> None:
        """Put one row, of so many cells, in the place of another."""
        for one in (self.keys, self.values):
            one[:, target, :, :cells] = one[:, source, :, :cells]

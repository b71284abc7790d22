"""Layout: whose the tokens of a forward are, which stand behind each other unpadded.

First come the rows that go on, one token each; then the suffixes of rows that join; then the
prefixes that are read for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from pipeline.vlm.cache import Cells, Prefix
from pipeline.vlm.row import Row

Group = tuple[Tensor, Tensor, int]
"""Keys and values of a prefix, and the number of rows that go on with it."""


@dataclass(frozen=True)
class Layout:
    """Whose the tokens of a forward are.

    Attributes:
        cells: of the rows; all have room.
        at: row and cell of each token that is not of a prefix.
        hidden: `(rows, 1, 1, cells)`, minus infinity where a row that goes on has no token.
        groups: of the rows that go on; empty if each has a copy of its prefix.
        order: of the rows that go on, as they are in the groups.
        joining: prefix of each row that joins, and `(suffix, prefix + suffix)`, true where a token
            of the suffix sees another.
        reading: prefixes that are read; they have room.
    """

    cells: Cells
    at: tuple[Tensor, Tensor]
    hidden: Tensor
    groups: Sequence[Group]
    order: Tensor
    joining: Sequence[tuple[Prefix, Tensor]]
    reading: Sequence[Prefix]

    @cached_property
    def back(self) -> Tensor:
        """From the order of the groups to that of the rows."""
        return self.order.argsort()

    @cached_property
    def suffixes(self) -> list[slice]:
        """Where the suffix of each row that joins stands among the tokens."""
        return _behind(len(self.hidden), [len(seen) for _, seen in self.joining])

    @cached_property
    def prefixes(self) -> list[slice]:
        """Where each prefix that is read stands among the tokens."""
        return _behind(len(self.at[0]), list(map(len, self.reading)))


def layout(
    cells: Cells, going: Sequence[Row], joining: Sequence[Row], reading: Sequence[Prefix]
) -> Layout:
    """Lay out a forward; cells and prefixes have room.

    Args:
        cells: of the rows, those that go on before those that join.
        going: rows that have tokens.
        joining: rows that have none yet.
        reading: prefixes of these that are not in the cache.
    """
    device = cells.keys.device
    rows, columns = list(range(len(going))), [row.cells for row in going]
    hidden = _hidden(columns, device)
    for place, row in enumerate(joining, len(going)):
        rows += [place] * len(row.suffix)
        columns += range(row.head, row.cells)
    order, groups = _groups(going, (cells.keys[:, 0, :, :0], cells.values[:, 0, :, :0]))
    return Layout(
        cells=cells,
        at=(torch.tensor(rows, device=device), torch.tensor(columns, device=device)),
        hidden=hidden,
        groups=groups,
        order=torch.tensor(order, dtype=torch.long, device=device),
        joining=[(row.prefix, _seen(len(row.prefix), len(row.suffix), device)) for row in joining],
        reading=reading,
    )


def _seen(prefix: int, suffix: int, device: torch.device) -> Tensor:
    seen = torch.ones(suffix, prefix + suffix, dtype=torch.bool, device=device)
    return seen.tril_(prefix)


def _hidden(used: Sequence[int], device: torch.device) -> Tensor:
    """What hides the cells of rows that have no token, with so many in use and one to come."""
    cell = torch.arange(max(used, default=0) + 1, device=device)
    hidden = torch.zeros(len(used), len(cell), device=device)
    hidden.masked_fill_(cell > torch.tensor(used, device=device)[:, None], -torch.inf)
    return hidden[:, None, None]


def _groups(going: Sequence[Row], none: tuple[Tensor, Tensor]) -> tuple[list[int], list[Group]]:
    """Rows in the order of their prefixes, and these; rows that have a copy have `none`."""
    places: dict[Prefix | None, list[int]] = {}
    for place, row in enumerate(going):
        places.setdefault(None if row.prefix.is_copied else row.prefix, []).append(place)
    if places.keys() <= {None}:
        return [], []
    order = [place for some in places.values() for place in some]
    groups = [(*(prefix.cells if prefix else none), len(some)) for prefix, some in places.items()]
    return order, groups


def _behind(start: int, lengths: Sequence[int]) -> list[slice]:
    return [slice(*pair) for pair in pairwise(accumulate(lengths, initial=start))]

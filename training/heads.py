"""Heads: what training asks of inner states and throws away before export.

They tell each half of the model what it is to know: the tower what lies in each cell, the
language model where each cell is, and where the thing is that a word speaks of.
"""

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.batches import IGNORED, Batch
from training.canvas import BANDS, LABELS, SLOTS
from training.forward import Read

PLACED: Final = 1
"""Layer of the language model after which a visual token knows its place."""
AIMED: Final = 3
"""Layer after which a token of an answer knows the place of what it is read from."""
FOUND: Final = (2, 4)
"""Layers whose first head looks at what a name in a prompt, and a part of an answer, is about."""
_LONGEST: Final = 12
"""Most temporal grids, rows and columns of a picture."""


class Heads(nn.Module):
    """All heads."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.dense = DenseHead(hidden, SLOTS, LABELS)
        self.place = nn.Linear(hidden, 3 * _LONGEST)
        self.target = nn.Linear(hidden, 3 * _LONGEST)
        self.band = nn.Linear(hidden, BANDS)

    def places(self, batch: Batch, read: Read) -> Tensor:
        """Loss of the temporal grid, row and column of each visual token."""
        places = _places(batch).repeat(len(batch.ids), 1)
        return _named(self.place(read.states[PLACED][batch.visual]), places)

    def targets(self, batch: Batch, read: Read) -> Tensor:
        """Loss of the place, and of the band there, that an answer's next token is read from."""
        rows, tokens, answers, cells, bands = batch.pointers.unbind(1)
        chosen = answers == 1
        if not chosen.any():
            return read.last.new_zeros(())
        state = read.states[AIMED][rows[chosen], tokens[chosen]]
        place = _named(self.target(state), _places(batch)[cells[chosen]])
        return place + _of_known(self.band(state), bands[chosen])


def _places(batch: Batch) -> Tensor:
    """Temporal grid, row and column of each cell `(cells, 3)`."""
    axes = [torch.arange(size, device=batch.ids.device) for size in batch.size]
    return torch.cartesian_prod(*axes)


def _named(logits: Tensor, places: Tensor) -> Tensor:
    classes = logits.float().view(-1, _LONGEST)
    return functional.cross_entropy(classes, places.flatten())


def _of_known(logits: Tensor, classes: Tensor) -> Tensor:
    """Cross entropy where the class is known, 0 where none is."""
    known = (classes != IGNORED).sum().clamp(min=1)
    total = functional.cross_entropy(logits.float(), classes, ignore_index=IGNORED, reduction="sum")
    return total / known


def pointing(batch: Batch, read: Read) -> Tensor:
    """Loss of the attention that should look at the cells that a word speaks of."""
    if not len(batch.pointers):
        return read.last.new_zeros(())
    rows, places, answers, *_ = batch.pointers.unbind(1)
    losses = []
    for kind, layer in enumerate(FOUND):
        of_kind = answers == kind
        looked = read.attention[layer][rows[of_kind], places[of_kind]].float()
        share = (looked * batch.pointed[of_kind]).sum(-1)
        losses.append(-(share + 1e-4).log())
    return torch.cat(losses).mean()


class DenseHead(nn.Module):
    """Names what lies in each of a cell's slots; used in training and thrown away."""

    def __init__(self, hidden: int, slots: int, labels: int, rank: int = 64) -> None:
        super().__init__()
        self.slots = slots
        self.spread = nn.Linear(hidden, slots * rank)
        self.name = nn.Linear(rank, labels)

    def forward(self, tokens: Tensor, chosen: Tensor) -> Tensor:
        """Logits `(n, labels)` of the chosen slots.

        Args:
            tokens: visual tokens `(pictures, cells, hidden)`.
            chosen: `bool (pictures, cells, slots)`.
        """
        spread = self.spread(tokens).view(*tokens.shape[:2], self.slots, -1)
        logits: Tensor = self.name(spread[chosen])
        return logits

"""Batches: examples as token ids, targets, patches and the pipeline's own positions."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from pipeline.vlm.positions import VisionBlock, rope_positions, spans_of
from pipeline.vlm.template import Message, Part, render
from training.canvas import Example
from training.model import to_patches
from training.tokens import token_id

IGNORED: Final = -100
_FILLED: Final = 0.5
_EMPTY: Final = 0.15
"""Shares of the filled and of the empty columns that the dense loss looks at."""
Size = tuple[int, int, int]
"""Temporal grids (1 for a still), and cells in height and width."""


@dataclass(frozen=True)
class Batch:
    """Examples of one size.

    Attributes:
        name: of the group that they come from.
        patches: `uint8 (batch * temporal grids, patches, 588 or 1176)`.
        grid: cells in height and width.
        dense: labels `(batch * temporal grids, cells, columns)`.
        chosen: `bool`, the columns that the dense loss looks at.
        ids: token ids `(batch, sequence)`, padded on the right.
        visual: `bool (batch, sequence)`, where visual tokens stand.
        targets: ids to predict at each place, `IGNORED` outside the answers.
        positions: M-RoPE positions `(3, batch, sequence)`.
    """

    name: str
    patches: Tensor
    grid: tuple[int, int]
    dense: Tensor
    chosen: Tensor
    ids: Tensor
    visual: Tensor
    targets: Tensor
    positions: Tensor

    def to(self, device: str) -> "Batch":
        """The batch with its tensors on a device."""
        tensors = {
            field.name: getattr(self, field.name).to(device)
            for field in fields(self)
            if field.type is Tensor
        }
        return replace(self, **tensors)


@dataclass(frozen=True)
class Asked:
    """A prompt as tokens: ids, positions `(3, n)` and the position of the answer."""

    ids: list[int]
    positions: Tensor
    following: int


class Batcher:
    """Turns examples into token ids and batches with one tokenizer."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._image = token_id(tokenizer, "<|image_pad|>")
        self._video = token_id(tokenizer, "<|video_pad|>")
        self._pad = token_id(tokenizer, "<|endoftext|>")

    def ask(self, example: Example, size: Size) -> Asked:
        """The prompt of an example, as the pipeline renders it."""
        time, rows, columns = size
        clip = example.fps is not None
        seconds = 2 / example.fps if example.fps is not None else None
        block = VisionBlock(time, rows * 2, columns * 2, seconds)
        turns = [
            Message("user", [Part("video" if clip else "image"), Part("text", example.prompt)])
        ]
        ids: list[int] = []
        for token in self._tokenizer.encode(render(turns, example.tools)):
            ids += [token] * (block.tokens() if token in (self._image, self._video) else 1)
        spans = spans_of(ids, [block], (self._image, self._video))
        positions, following = rope_positions(spans)
        return Asked(ids, torch.from_numpy(positions), following)

    def batch(
        self, name: str, random_: random.Random, examples: Sequence[Example], size: Size
    ) -> Batch:
        """Build a batch of examples that all have one size."""
        rows = [self._row(example, size) for example in examples]
        longest = max(len(asked.ids) + len(answer) for asked, answer in rows)
        ids = torch.full((len(rows), longest), self._pad)
        targets = torch.full((len(rows), longest), IGNORED)
        positions = torch.zeros((3, len(rows), longest), dtype=torch.long)
        for index, (asked, answer) in enumerate(rows):
            begin, end = len(asked.ids), len(asked.ids) + len(answer)
            ids[index, :end] = torch.tensor(asked.ids + answer)
            targets[index, begin - 1 : end - 1] = torch.tensor(answer)
            positions[:, index, :begin] = asked.positions
            positions[:, index, begin:] = torch.arange(longest - begin) + asked.following
        labels = np.stack([example.labels for example in examples])
        dense = torch.from_numpy(labels.reshape(-1, size[1] * size[2], labels.shape[-1]))
        return Batch(
            name=name,
            patches=to_patches(np.stack([example.picture for example in examples])),
            grid=size[1:],
            dense=dense,
            chosen=_chosen(random_, dense),
            ids=ids,
            visual=(ids == self._image) | (ids == self._video),
            targets=targets,
            positions=positions,
        )

    def _row(self, example: Example, size: Size) -> tuple[Asked, list[int]]:
        answer: list[int] = self._tokenizer.encode(f"{example.answer}<|im_end|>")
        return self.ask(example, size), answer


def _chosen(random_: random.Random, dense: Tensor) -> Tensor:
    values = np.random.default_rng(random_.getrandbits(32)).random(dense.shape, dtype=np.float32)
    drawn = torch.from_numpy(values)
    return drawn < torch.where(dense > 0, _FILLED, _EMPTY)

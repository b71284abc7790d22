"""Prompts: pictures and answers as batches of token ids with the pipeline's own positions."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from pipeline.vlm.positions import Span, VisionBlock, rope_positions
from training.canvas import Example
from training.model import to_patches
from training.tokens import token_id

HEAD: Final = (
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n<|vision_start|>"
)
"""What stands before the visual tokens."""
IGNORED: Final = -100


def question(prompt: str) -> str:
    """What stands between the visual tokens and the answer."""
    return f"<|vision_end|>{prompt}<|im_end|>\n<|im_start|>assistant\n"


@dataclass(frozen=True)
class Batch:
    """Examples of one picture size.

    Attributes:
        patches: `uint8 (batch, patches, 588)`.
        grid: cells in height and width.
        dense: labels `(batch, cells, columns)`.
        ids: token ids `(batch, sequence)`, padded on the right.
        targets: ids to predict at each place, `IGNORED` outside the answers.
        positions: M-RoPE positions `(3, batch, sequence)`.
        first_visual: index of the first visual token, equal in all rows.
    """

    patches: Tensor
    grid: tuple[int, int]
    dense: Tensor
    ids: Tensor
    targets: Tensor
    positions: Tensor
    first_visual: int

    def to(self, device: str) -> "Batch":
        """The batch with its tensors on a device."""
        tensors = {
            field.name: getattr(self, field.name).to(device)
            for field in fields(self)
            if field.type is Tensor
        }
        return replace(self, **tensors)


class Batcher:
    """Turns examples into batches with one tokenizer."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._tokenizer = tokenizer
        self._head = tokenizer.encode(HEAD)
        self._image = token_id(tokenizer, "<|image_pad|>")
        self._pad = token_id(tokenizer, "<|endoftext|>")

    def batch(self, examples: Sequence[Example], grid: tuple[int, int]) -> Batch:
        """Build a batch of examples that all have `grid` cells."""
        cells = grid[0] * grid[1]
        rows = [self._row(example, cells) for example in examples]
        longest = max(len(ids) for ids, _ in rows)
        ids = torch.full((len(rows), longest), self._pad)
        targets = torch.full((len(rows), longest), IGNORED)
        for index, (row, answer) in enumerate(rows):
            ids[index, : len(row)] = torch.tensor(row)
            targets[index, len(row) - answer - 1 : len(row) - 1] = torch.tensor(row[-answer:])
        head = len(self._head)
        spans: list[Span] = [head, VisionBlock(1, grid[0] * 2, grid[1] * 2), longest - head - cells]
        positions = torch.from_numpy(rope_positions(spans)[0])
        return Batch(
            patches=to_patches(np.stack([example.picture for example in examples])),
            grid=grid,
            dense=torch.from_numpy(np.stack([example.labels for example in examples])).flatten(
                1, 2
            ),
            ids=ids,
            targets=targets,
            positions=positions[:, None].expand(3, len(rows), longest),
            first_visual=head,
        )

    def _row(self, example: Example, cells: int) -> tuple[list[int], int]:
        asked = self._tokenizer.encode(question(example.prompt))
        answer = self._tokenizer.encode(f"{example.answer}<|im_end|>")
        before = [*self._head, *[self._image] * cells, *asked]
        return before + answer, len(answer)

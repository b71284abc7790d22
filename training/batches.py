"""Batches: examples as token ids, targets, patches and the pipeline's own positions.

All questions on a picture stand in one row behind it. Each sees the picture and itself, so that
one pass of the picture serves them all.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Final

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from pipeline.vlm.positions import VisionBlock, rope_positions, spans_of
from pipeline.vlm.template import VISION_END, Message, Part, render
from training.canvas import Example, Mark, Question
from training.model import to_patches
from training.tokens import token_id

IGNORED: Final = -100
_FILLED: Final = 0.5
_EMPTY: Final = 0.08
"""Shares of the filled and of the empty slots that the dense loss looks at."""
Size = tuple[int, int, int]
"""Temporal grids (1 for a still), and cells in height and width."""


@dataclass(frozen=True)
class Batch:
    """Examples of one size.

    Attributes:
        name: of the group that they come from.
        size: temporal grids, and cells in height and width.
        patches: `uint8 (batch * temporal grids, patches, 588 or 1176)`.
        dense: labels `(batch * temporal grids, cells, SLOTS)`.
        chosen: `bool`, the slots that the dense loss looks at.
        ids: token ids `(batch, sequence)`, padded on the right.
        segments: `(batch, sequence)`, 0 for what all questions see, else the question's number.
        visual: `bool (batch, sequence)`, where visual tokens stand.
        targets: ids to predict at each place, `IGNORED` outside the answers.
        positions: M-RoPE positions `(3, batch, sequence)`.
        pointers: `(n, 5)`, row, place in the sequence, whether it writes an answer, the first of
            the cells that it speaks of, and the band there or `IGNORED`.
        pointed: `bool (n, sequence)`, the visual tokens that each of them speaks of.
    """

    name: str
    size: Size
    patches: Tensor
    dense: Tensor
    chosen: Tensor
    ids: Tensor
    segments: Tensor
    visual: Tensor
    targets: Tensor
    positions: Tensor
    pointers: Tensor
    pointed: Tensor

    def to(self, device: str) -> "Batch":
        """The batch with its tensors on a device."""
        tensors = {
            one.name: getattr(self, one.name).to(device)
            for one in fields(self)
            if one.type is Tensor
        }
        return replace(self, **tensors)


@dataclass(frozen=True)
class Asked:
    """A prompt as tokens: ids and positions `(3, n)`."""

    ids: list[int]
    positions: Tensor


@dataclass
class _Row:
    """One example: its tokens from the left on; see `Batch`."""

    ids: list[int]
    first: int
    positions: Tensor
    segments: list[int]
    targets: list[int]
    pointers: list[tuple[int, Mark]] = field(default_factory=list)


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
        seconds = 2 / example.fps if example.fps is not None else None
        block = VisionBlock(time, rows * 2, columns * 2, seconds)
        ids: list[int] = []
        for token in self._tokenizer.encode(_rendered(example, example.prompt)):
            ids += [token] * (block.tokens() if token in (self._image, self._video) else 1)
        spans = spans_of(ids, [block], (self._image, self._video))
        positions, _ = rope_positions(spans)
        return Asked(ids, torch.from_numpy(positions))

    def batch(
        self, name: str, random_: random.Random, examples: Sequence[Example], size: Size
    ) -> Batch:
        """Build a batch of examples that all have one size."""
        rows = [self._row(example, size) for example in examples]
        longest = max(len(row.ids) for row in rows)
        ids = torch.full((len(rows), longest), self._pad)
        targets = torch.full((len(rows), longest), IGNORED)
        segments = torch.zeros((len(rows), longest), dtype=torch.long)
        positions = torch.zeros((3, len(rows), longest), dtype=torch.long)
        for index, row in enumerate(rows):
            end = len(row.ids)
            ids[index, :end] = torch.tensor(row.ids)
            targets[index, :end] = torch.tensor(row.targets)
            segments[index, :end] = torch.tensor(row.segments)
            positions[:, index, :end] = row.positions
        labels = np.stack([example.labels for example in examples])
        dense = torch.from_numpy(labels.reshape(-1, size[1] * size[2], labels.shape[-1]))
        pointers, pointed = _pointers(rows, longest)
        return Batch(
            name=name,
            size=size,
            patches=to_patches(np.stack([example.picture for example in examples])),
            dense=dense,
            chosen=_chosen(random_, dense),
            ids=ids,
            segments=segments,
            visual=(ids == self._image) | (ids == self._video),
            targets=targets,
            positions=positions,
            pointers=pointers,
            pointed=pointed,
        )

    def _row(self, example: Example, size: Size) -> _Row:
        asked = self.ask(example, size)
        pads = [n for n, token in enumerate(asked.ids) if token in (self._image, self._video)]
        shared = pads[-1] + 1
        row = _Row(
            asked.ids[:shared],
            pads[0],
            asked.positions[:, :shared],
            [0] * shared,
            [IGNORED] * shared,
        )
        start = int(asked.positions[0, shared])
        for number, question in enumerate(dict.fromkeys(example.questions), start=1):
            self._append(row, example, question, number, start)
        return row

    def _append(
        self, row: _Row, example: Example, question: Question, number: int, start: int
    ) -> None:
        """Put a question and its answer behind the picture, as if no other were there."""
        asked = VISION_END + _rendered(example, question.prompt).partition(VISION_END)[2]
        whole = self._tokenizer(f"{asked}{question.answer}<|im_end|>", return_offsets_mapping=True)
        ids, spans = whole["input_ids"], whole["offset_mapping"]
        before = len(row.ids)
        row.ids += ids
        row.positions = torch.cat(
            [row.positions, (torch.arange(len(ids)) + start).expand(3, -1)], dim=1
        )
        row.segments += [number] * len(ids)
        answered = [begin >= len(asked) for begin, _ in spans]
        following = zip(ids[1:], answered[1:], strict=True)
        row.targets += [token if wanted else IGNORED for token, wanted in following]
        row.targets.append(IGNORED)
        row.pointers += _pointing(question, asked, spans, before)


def _rendered(example: Example, prompt: str) -> str:
    kind = "image" if example.fps is None else "video"
    return render([Message("user", [Part(kind), Part("text", prompt)])], example.tools)


def _pointing(
    question: Question, asked: str, spans: Sequence[tuple[int, int]], before: int
) -> Iterator[tuple[int, Mark]]:
    """Places that should look at a mark: a name's last token, and each that writes of it."""
    prompt = asked.index(question.prompt)
    for mark in question.marks:
        if mark.answer:
            low, high = len(asked) + mark.begin, len(asked) + mark.end
            for index, (begin, _) in enumerate(spans):
                if low <= begin < high:
                    yield before + index - 1, mark
        else:
            last = max(n for n, (begin, _) in enumerate(spans) if begin < prompt + mark.end)
            yield before + last, mark


def _pointers(rows: Sequence[_Row], longest: int) -> tuple[Tensor, Tensor]:
    found = [(index, *one) for index, row in enumerate(rows) for one in row.pointers]
    pointed = torch.zeros((len(found), longest), dtype=torch.bool)
    for number, (index, _, mark) in enumerate(found):
        pointed[number, [rows[index].first + cell for cell in mark.cells]] = True
    pointers = [
        (index, place, mark.answer, mark.cells[0], IGNORED if mark.band is None else mark.band)
        for index, place, mark in found
    ]
    return torch.tensor(pointers, dtype=torch.long).reshape(-1, 5), pointed


def _chosen(random_: random.Random, dense: Tensor) -> Tensor:
    values = np.random.default_rng(random_.getrandbits(32)).random(dense.shape, dtype=np.float32)
    drawn = torch.from_numpy(values)
    return drawn < torch.where(dense > 0, _FILLED, _EMPTY)

"""Evaluate: exact answers of a checkpoint on held-out pictures.

Lines are of words and numbers that training never showed, shapes of seeds that it never used.
The checkpoint runs in the unmodified library class, decoded greedily from its own tokens, on
patches of the pipeline's own preprocessing.

Use: `python -m training.evaluate --count 500`.
"""

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerBase, Qwen2VLForConditionalGeneration

from pipeline.vlm.positions import VisionBlock, rope_positions
from pipeline.vlm.preprocess import patchify
from training.canvas import CLEAN, Example, Grid
from training.lines import text_line
from training.model import MEAN, STD
from training.pictures import FRAMES, SMALL, question_on
from training.prompts import HEAD, question
from training.shapes import single_shape
from training.tokens import token_id

TINY: Final = Path(__file__).parent.parent / "pipeline" / "vlm" / "tiny"
NEW_TOKENS: Final = 32
BATCH: Final = 25
GRIDS: Final = tuple(sorted(set(SMALL.grids)))
LARGE: Final = tuple(sorted(set(FRAMES.grids)))
"""Sizes of up to 18 and of up to 48 visual tokens."""
Draw = Callable[[random.Random, Grid], Example]


class Reader:
    """A checkpoint that answers prompts on pictures."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder)
        self.model = Qwen2VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
        self.model.train(False)
        self._end = token_id(self.tokenizer, "<|im_end|>")

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text)
        return ids

    def inputs(self, pictures: Sequence[NDArray[np.uint8]], prompt: str) -> dict[str, Tensor]:
        """The library's arguments for one prompt on pictures of one size."""
        cut = [patchify(picture[None], MEAN, STD) for picture in pictures]
        grid = cut[0][1]
        block = VisionBlock(*grid)
        head, tail = self._ids(HEAD), self._ids(question(prompt))
        ids = [*head, *[token_id(self.tokenizer, "<|image_pad|>")] * block.tokens(), *tail]
        positions = torch.from_numpy(rope_positions([len(head), block, len(tail)])[0])
        return {
            "input_ids": torch.tensor([ids] * len(cut)),
            "pixel_values": torch.from_numpy(np.concatenate([patches for patches, _ in cut])),
            "image_grid_thw": torch.tensor([grid] * len(cut)),
            "position_ids": positions[:, None].expand(3, len(cut), len(ids)),
        }

    @torch.inference_mode()
    def read(self, pictures: Sequence[NDArray[np.uint8]], prompt: str) -> list[str]:
        """Greedy answers to one prompt on pictures `uint8 (height, width, 3)` of one size."""
        inputs = self.inputs(pictures, prompt)
        following = int(inputs["position_ids"].max()) + 1
        out = self.model(**inputs, use_cache=True)
        answers = out.logits[:, -1:].argmax(-1)
        for position in range(following, following + NEW_TOKENS - 1):
            if (answers == self._end).any(1).all():
                break
            out = self.model(
                input_ids=answers[:, -1:],
                position_ids=torch.full((3, len(pictures), 1), position),
                past_key_values=out.past_key_values,
                use_cache=True,
            )
            answers = torch.cat([answers, out.logits[:, -1:].argmax(-1)], dim=1)
        return [self._text(row) for row in answers.tolist()]

    def _text(self, ids: list[int]) -> str:
        """The answer before its end; one without an end counts as wrong, so it is marked."""
        if self._end not in ids:
            return str(self.tokenizer.decode(ids)) + "…"
        return str(self.tokenizer.decode(ids[: ids.index(self._end)]))


@dataclass
class Score:
    """Exact answers of one kind of picture.

    Attributes:
        right: exact ones.
        count: all.
        grids: the same two figures for each picture size.
        wrong: expected and given answers.
    """

    right: int = 0
    count: int = 0
    grids: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    wrong: list[tuple[str, str]] = field(default_factory=list)

    def add(self, grid: Grid, expected: str, given: str) -> None:
        """Count one answer."""
        exact = expected == given
        self.right += exact
        self.count += 1
        size = self.grids[f"{grid[0]}x{grid[1]}"]
        size[0] += exact
        size[1] += 1
        if not exact:
            self.wrong.append((expected, given))

    @property
    def share(self) -> float:
        """Right of all."""
        return self.right / self.count


def _line(random_: random.Random, grid: Grid) -> Example:
    return text_line(random_, grid, held_out=True)


def _flawed_line(random_: random.Random, grid: Grid) -> Example:
    return text_line(random_, grid, held_out=True, how=FRAMES.how)


def _shape(random_: random.Random, grid: Grid) -> Example:
    return single_shape(random_, grid, CLEAN)


def _question(random_: random.Random, grid: Grid) -> Example:
    return question_on(random_, single_shape(random_, grid, CLEAN), FRAMES)


KINDS: Final[dict[str, Draw]] = {
    "lines": _line,
    "lines with flaws": _flawed_line,
    "shapes": _shape,
    "questions": _question,
}


def score(
    reader: Reader, kind: str, count: int, seed: int = 0, grids: Sequence[Grid] = GRIDS
) -> Score:
    """Ask about `count` held-out pictures of a kind, over the picture sizes in turn."""
    groups: dict[tuple[Grid, str], list[Example]] = defaultdict(list)
    for index in range(count):
        grid = grids[index % len(grids)]
        drawn = KINDS[kind](random.Random(f"held out/{kind}/{seed}/{index}"), grid)
        groups[grid, drawn.prompt].append(drawn)
    result = Score()
    for (grid, prompt), examples in groups.items():
        for begin in range(0, len(examples), BATCH):
            batch = examples[begin : begin + BATCH]
            answers = reader.read([drawn.picture for drawn in batch], prompt)
            for drawn, answer in zip(batch, answers, strict=True):
                result.add(grid, drawn.answer, answer)
    return result


def report(
    reader: Reader, count: int, seed: int = 0, grids: Sequence[Grid] = GRIDS
) -> dict[str, Any]:
    """Scores of all kinds as plain values."""
    values: dict[str, Any] = {}
    for kind in KINDS:
        result = score(reader, kind, count, seed, grids)
        values[kind] = {
            "right": result.right,
            "count": result.count,
            "share": round(result.share, 4),
            "by size": dict(result.grids),
            "wrong": result.wrong[:40],
        }
    return values


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--checkpoint", type=Path, default=TINY)
    parser.add_argument("--count", type=int, default=500, help="pictures of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--large", action="store_true", help="pictures of up to 48 visual tokens")
    parser.add_argument("--json", action="store_true", help="print the whole report")
    parser.add_argument("--out", type=Path, help="file to write the whole report to")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    grids = LARGE if options.large else GRIDS
    values = report(Reader(options.checkpoint), options.count, options.seed, grids)
    text = json.dumps(values, indent=1, ensure_ascii=False)
    if options.out:
        options.out.write_text(text + "\n")
    if options.json:
        print(text)
        return
    for kind, result in values.items():
        print(f"{kind:18} {result['right']:4} of {result['count']}  {result['share']:.1%}")


if __name__ == "__main__":
    main()

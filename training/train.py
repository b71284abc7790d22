"""Train: the tiny checkpoint, from nothing, in two stages of one run.

Stage 1 teaches the tower alone with dense labels; stage 2 adds the language model while the dense
loss stays at half weight and lines grow from 2 to 12 characters. Deterministic from the seed for
a number of data workers; `--out` holds a state from which the same command goes on.

    python -m training.train --out runs/tiny --steps 16000
"""

import argparse
import json
import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset
from transformers import PreTrainedTokenizerFast, Qwen2VLForConditionalGeneration

from training.model import DenseHead, build_model, build_tokenizer, save_checkpoint, tower, whiten
from training.pictures import GRIDS, LABELS, example
from training.prompts import IGNORED, Batch, Batcher

BATCH = 40
CELLS = 480
"""Pictures and visual tokens of a step at the most: a step costs about the same for each size."""
PEAK_RATE = 2e-3
WARM_UP = 200
EMPTY_WEIGHT = 0.3
STAGE_1 = 0.28
"""Share of the steps in which the tower learns alone."""


def longest_line(progress: float) -> int:
    """Characters of the longest line at a share of the run: 12 while the tower learns alone."""
    if progress < STAGE_1:
        return 12
    return min(12, 2 + int(10 * (progress - STAGE_1) / 0.15))


class Stream(IterableDataset[Batch]):
    """Endless batches; batch `n` depends on the seed and `n` alone."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, seed: int, first: int, steps: int
    ) -> None:
        self._batcher = Batcher(tokenizer)
        self._seed, self._first, self._steps = seed, first, steps

    def __iter__(self) -> Iterator[Batch]:
        worker = torch.utils.data.get_worker_info()
        offset, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        for step in range(self._first + offset, self._steps, stride):
            random_ = random.Random(f"{self._seed}/{step}")
            grid = random_.choice(GRIDS)
            longest = longest_line(step / self._steps)
            count = min(BATCH, CELLS // (grid[0] * grid[1]))
            examples = [example(random_, grid, longest=longest) for _ in range(count)]
            yield self._batcher.batch(examples, grid)


@dataclass
class Losses:
    """Losses of a step, and the accuracies that tell which half is the limit."""

    total: Tensor
    dense_accuracy: float
    answer_accuracy: float | None


def losses(
    model: Qwen2VLForConditionalGeneration, head: DenseHead, batch: Batch, with_text: bool
) -> Losses:
    """Forward of one batch."""
    visual = tower(model, batch.patches, batch.grid)
    logits = head(visual)
    weight = torch.ones(LABELS, device=logits.device)
    weight[0] = EMPTY_WEIGHT
    dense = functional.cross_entropy(logits.flatten(0, 2), batch.dense.flatten(), weight=weight)
    shown = batch.dense > 0
    dense_accuracy = (logits.argmax(-1) == batch.dense)[shown].float().mean().item()
    if not with_text:
        return Losses(dense, dense_accuracy, None)
    embedded = model.model.language_model.embed_tokens(batch.ids)
    end = batch.first_visual + visual.shape[1]
    embedded = torch.cat([embedded[:, : batch.first_visual], visual, embedded[:, end:]], dim=1)
    hidden = model.model.language_model(
        inputs_embeds=embedded, position_ids=batch.positions, use_cache=False
    ).last_hidden_state
    asked = batch.targets != IGNORED
    predicted = model.lm_head(hidden[asked])
    answer = functional.cross_entropy(predicted, batch.targets[asked])
    accuracy = (predicted.argmax(-1) == batch.targets[asked]).float().mean().item()
    return Losses(answer + 0.5 * dense, dense_accuracy, accuracy)


def rate(step: int, steps: int) -> float:
    """Learning rate: warm-up, then cosine to 5 % of the peak."""
    if step < WARM_UP:
        return PEAK_RATE * (step + 1) / WARM_UP
    return PEAK_RATE * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / steps)))


class Run:
    """A training run: model, optimiser, place in the stream, and the folder that keeps them."""

    def __init__(self, out: Path, steps: int, seed: int) -> None:
        torch.manual_seed(seed)
        self.out, self.steps, self.seed, self.step = out, steps, seed, 0
        self.tokenizer = build_tokenizer()
        self.model = build_model(self.tokenizer)
        self.head = DenseHead(self.model.config.text_config.hidden_size)
        self.curve: list[dict[str, float]] = []
        self.parameters = [*self.model.parameters(), *self.head.parameters()]
        self.optimiser = torch.optim.AdamW(
            self.parameters, lr=PEAK_RATE, betas=(0.9, 0.98), weight_decay=0.02
        )
        if self.state_file.exists():
            self._load()
        else:
            self._whiten()

    @property
    def state_file(self) -> Path:
        """Where the run's state is kept."""
        return self.out / "state.pt"

    def _whiten(self) -> None:
        stream = Stream(self.tokenizer, self.seed + 1, 0, 20)
        whiten(self.model, torch.cat([batch.patches.flatten(0, 1)[::4] for batch in stream]))

    def _load(self) -> None:
        state = torch.load(self.state_file, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.head.load_state_dict(state["head"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.curve = state["step"], state["curve"]

    def save(self) -> None:
        """Write the state, and the checkpoint as it would ship."""
        self.out.mkdir(parents=True, exist_ok=True)
        state = {
            "model": self.model.state_dict(),
            "head": self.head.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "curve": self.curve,
        }
        torch.save(state, self.state_file.with_suffix(".new"))
        self.state_file.with_suffix(".new").replace(self.state_file)
        save_checkpoint(self.model, self.tokenizer, self.out / "checkpoint")
        (self.out / "curve.json").write_text(json.dumps(self.curve, indent=1) + "\n")

    def train(self, workers: int, report_every: int = 100, save_every: int = 1000) -> None:
        """Run to the last step."""
        stream = Stream(self.tokenizer, self.seed, self.step, self.steps)
        loader = DataLoader(
            stream, batch_size=None, num_workers=workers, prefetch_factor=8 if workers else None
        )
        started, first = time.monotonic(), self.step
        for batch in loader:
            result = self._step(batch)
            if self.step % report_every == 0:
                each = (time.monotonic() - started) / (self.step - first)
                self._report(result, each)
            if self.step % save_every == 0:
                self.save()
        self.save()

    def _step(self, batch: Batch) -> Losses:
        for group in self.optimiser.param_groups:
            group["lr"] = rate(self.step, self.steps)
        result = losses(self.model, self.head, batch, self.step >= STAGE_1 * self.steps)
        self.optimiser.zero_grad()
        result.total.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()
        self.step += 1
        return result

    def _report(self, result: Losses, seconds: float) -> None:
        point = {
            "step": self.step,
            "loss": round(result.total.item(), 4),
            "dense_accuracy": round(result.dense_accuracy, 4),
        }
        if result.answer_accuracy is not None:
            point["answer_accuracy"] = round(result.answer_accuracy, 4)
        self.curve.append(point)
        left = seconds * (self.steps - self.step) / 60
        shown = "  ".join(f"{name} {value:g}" for name, value in point.items())
        print(
            f"{shown}  of {self.steps}  {seconds * 1000:.0f} ms/step  {left:.0f} min left",
            flush=True,
        )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/tiny"), help="folder of the run")
    parser.add_argument("--steps", type=int, default=16000, help="optimiser steps in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0, help="torch threads; 0: torch's choice")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw pictures")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    Run(options.out, options.steps, options.seed).train(options.workers)


if __name__ == "__main__":
    main()

"""Train: the tiny checkpoint, from nothing, in two phases.

Phase "letters" teaches the tower alone with dense labels, then adds the language model while the
dense loss stays at half weight and lines grow from 2 to 12 characters. Phase "frames" goes on
from its result at a lower rate with all picture sizes, flaws and prompts. Batches depend on the
seed and the step alone; `--out` holds a state from which the same command goes on.

Use: `python -m training.train --out runs/tiny`, then
`python -m training.train --phase frames --start runs/tiny --out runs/tiny-frames --seed 1`.
"""

import argparse
import json
import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset
from transformers import PreTrainedTokenizerFast, Qwen2VLForConditionalGeneration

from training.canvas import LABELS
from training.export import STATE, save_checkpoint
from training.model import DenseHead, build_model, tower, whiten
from training.pictures import FRAMES, SMALL, Mixture, example
from training.prompts import IGNORED, Batch, Batcher
from training.tokens import build_tokenizer
from training.words import MAX_CHARACTERS

BATCH: Final = 40
CELLS: Final = 480
"""Pictures and visual tokens of a step at the most: a step costs about the same for each size."""
EMPTY_WEIGHT: Final = 0.3
LAST_RATE: Final = 0.05
"""Share of the peak rate at the end of the cosine."""


@dataclass(frozen=True)
class Phase:
    """How a phase trains; shares are of its steps.

    Attributes:
        mixture: what it shows.
        peak_rate: highest learning rate.
        warm_up: steps up to it.
        alone: share in which the tower learns alone.
        growth: share, after that, in which lines grow from 2 characters to their full length.
    """

    mixture: Mixture
    peak_rate: float
    warm_up: int
    alone: float = 0.0
    growth: float = 0.0

    def longest_line(self, progress: float) -> int:
        """Characters of the longest line at a share of the phase."""
        if progress < self.alone or self.growth == 0:
            return MAX_CHARACTERS
        grown = (progress - self.alone) / self.growth
        return min(MAX_CHARACTERS, 2 + int((MAX_CHARACTERS - 2) * grown))

    def rate(self, progress: float, step: int) -> float:
        """Learning rate: warm-up, then cosine."""
        if step < self.warm_up:
            return self.peak_rate * (step + 1) / self.warm_up
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        return self.peak_rate * (LAST_RATE + (1 - LAST_RATE) * cosine)


PHASES: Final = {
    "letters": Phase(SMALL, peak_rate=2e-3, warm_up=200, alone=0.28, growth=0.15),
    "frames": Phase(FRAMES, peak_rate=8e-4, warm_up=100),
}


class Stream(IterableDataset[Batch]):
    """Batches of a phase; batch `n` depends on the seed and `n` alone."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        phase: Phase,
        seed: int,
        first: int,
        steps: int,
    ) -> None:
        self._batcher = Batcher(tokenizer)
        self._phase, self._seed, self._first, self._steps = phase, seed, first, steps

    def __iter__(self) -> Iterator[Batch]:
        worker = torch.utils.data.get_worker_info()
        offset, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        mixture = self._phase.mixture
        for step in range(self._first + offset, self._steps, stride):
            random_ = random.Random(f"{self._seed}/{step}")
            grid = random_.choice(mixture.grids)
            longest = self._phase.longest_line(step / self._steps)
            count = min(BATCH, CELLS // (grid[0] * grid[1]))
            examples = [example(random_, grid, mixture, longest) for _ in range(count)]
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
    """Forward of one batch; the answer's loss counts twice the dense one."""
    visual = tower(model, batch.patches, batch.grid)
    logits = head(visual)
    weight = torch.ones(LABELS, device=logits.device)
    weight[0] = EMPTY_WEIGHT
    dense = functional.cross_entropy(logits.flatten(0, 2), batch.dense.flatten(), weight=weight)
    shown = batch.dense > 0
    dense_accuracy = (logits.argmax(-1) == batch.dense)[shown].float().mean().item()
    if not with_text:
        return Losses(dense, dense_accuracy, None)
    answer, accuracy = _answer_loss(model, batch, visual)
    return Losses(answer + 0.5 * dense, dense_accuracy, accuracy)


def _answer_loss(
    model: Qwen2VLForConditionalGeneration, batch: Batch, visual: Tensor
) -> tuple[Tensor, float]:
    embedded = model.model.language_model.embed_tokens(batch.ids)
    end = batch.first_visual + visual.shape[1]
    embedded = torch.cat([embedded[:, : batch.first_visual], visual, embedded[:, end:]], dim=1)
    hidden = model.model.language_model(
        inputs_embeds=embedded, position_ids=batch.positions, use_cache=False
    ).last_hidden_state
    asked = batch.targets != IGNORED
    predicted = model.lm_head(hidden[asked])
    loss = functional.cross_entropy(predicted, batch.targets[asked])
    return loss, (predicted.argmax(-1) == batch.targets[asked]).float().mean().item()


@dataclass(frozen=True)
class Settings:
    """What a run depends on.

    Attributes:
        out: folder that keeps its state.
        phase: name in `PHASES`.
        start: folder of the run whose weights it starts from, or None for random ones.
        steps: optimiser steps in all.
        seed: of weights and pictures.
        device: torch's name.
    """

    out: Path
    phase: str
    start: Path | None
    steps: int
    seed: int
    device: str


class Run:
    """A training run: model, optimiser, place in the stream, and the folder that keeps them."""

    def __init__(self, settings: Settings) -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.phase, self.step = settings, PHASES[settings.phase], 0
        self.tokenizer = build_tokenizer()
        self.model = build_model(self.tokenizer)
        self.head = DenseHead(self.model.lm_head.in_features)
        self.curve: list[dict[str, float]] = []
        if settings.start is None:
            self._whiten()
        else:
            self._load_weights(_read(settings.start))
        for module in (self.model, self.head):
            nn.Module.to(module, settings.device)
        self.parameters = [*self.model.parameters(), *self.head.parameters()]
        self.optimiser = torch.optim.AdamW(
            self.parameters, lr=self.phase.peak_rate, betas=(0.9, 0.98), weight_decay=0.02
        )
        if (settings.out / STATE).exists():
            self._resume(_read(settings.out))

    def _whiten(self) -> None:
        stream = Stream(self.tokenizer, self.phase, self.settings.seed + 1, 0, 20)
        whiten(self.model, torch.cat([batch.patches.flatten(0, 1)[::4] for batch in stream]))

    def _load_weights(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.head.load_state_dict(state["head"])

    def _resume(self, state: dict[str, Any]) -> None:
        self._load_weights(state)
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.curve = state["step"], state["curve"]

    def save(self) -> None:
        """Write the state, and the checkpoint as it would ship."""
        out = self.settings.out
        out.mkdir(parents=True, exist_ok=True)
        state = {
            "model": self.model.state_dict(),
            "head": self.head.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "curve": self.curve,
        }
        torch.save(state, out / f"{STATE}.new")
        (out / f"{STATE}.new").replace(out / STATE)
        save_checkpoint(self.model, self.tokenizer, out / "checkpoint")
        (out / "curve.json").write_text(json.dumps(self.curve, indent=1) + "\n")

    def train(self, workers: int, report_every: int = 100, save_every: int = 1000) -> None:
        """Run to the last step."""
        settings = self.settings
        stream = Stream(self.tokenizer, self.phase, settings.seed, self.step, settings.steps)
        loader = DataLoader(
            stream, batch_size=None, num_workers=workers, prefetch_factor=8 if workers else None
        )
        started, first = time.monotonic(), self.step
        for batch in loader:
            result = self._step(batch.to(settings.device))
            if self.step % report_every == 0:
                each = (time.monotonic() - started) / (self.step - first)
                self._report(result, each)
            if self.step % save_every == 0:
                self.save()
        self.save()

    def _step(self, batch: Batch) -> Losses:
        progress = self.step / self.settings.steps
        for group in self.optimiser.param_groups:
            group["lr"] = self.phase.rate(progress, self.step)
        result = losses(self.model, self.head, batch, progress >= self.phase.alone)
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
        left = seconds * (self.settings.steps - self.step) / 60
        shown = "  ".join(f"{name} {value:g}" for name, value in point.items())
        print(
            f"{shown}  of {self.settings.steps}  {seconds * 1000:.0f} ms/step  {left:.0f} min left",
            flush=True,
        )


def _read(run: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(run / STATE, weights_only=True, map_location="cpu")
    return state


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/tiny"), help="folder of the run")
    parser.add_argument("--phase", choices=sorted(PHASES), default="letters")
    parser.add_argument("--start", type=Path, help="folder of the run whose weights to start from")
    parser.add_argument("--steps", type=int, default=15000, help="optimiser steps in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0, help="torch threads; 0: torch's choice")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw pictures")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    settings = Settings(
        options.out, options.phase, options.start, options.steps, options.seed, options.device
    )
    Run(settings).train(options.workers)


if __name__ == "__main__":
    main()

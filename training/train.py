"""Train: one phase of the tiny checkpoint, from random weights or from those of another run.

Batches depend on the seed and the step alone; `--out` holds a state from which the same command
goes on.

Use: `python -m training.train --phase tower --out runs/tower`, then
`python -m training.train --phase mixed --start runs/tower --out runs/mixed`.
"""

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset
from tqdm import tqdm
from transformers import PreTrainedTokenizerFast, Qwen2VLForConditionalGeneration

from training.batches import IGNORED, Batch, Batcher
from training.canvas import COLUMNS, LABELS
from training.export import STATE, save_checkpoint
from training.forward import DenseHead, Forward
from training.grow import grow
from training.model import build_model, whiten
from training.phases import PHASES, Phase
from training.tasks import draw_batch
from training.tokens import build_tokenizer

REPORT_EVERY: Final = 100
SAVE_EVERY: Final = 1000


class Stream(IterableDataset[Batch]):
    """Batches of a phase; batch `n` depends on the seed and `n` alone."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, phase: Phase, seed: int, first: int = 0
    ) -> None:
        self._batcher = Batcher(tokenizer)
        self._phase, self._seed, self._first = phase, seed, first

    def __iter__(self) -> Iterator[Batch]:
        worker = torch.utils.data.get_worker_info()
        offset, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        names, weights = list(self._phase.groups), list(self._phase.groups.values())
        for step in range(self._first + offset, self._phase.steps, stride):
            random_ = random.Random(f"{self._seed}/{step}")
            name = random_.choices(names, weights=weights)[0]
            yield draw_batch(self._batcher, random_, name)


@dataclass
class Losses:
    """Losses of a step, and the accuracies that tell which half is the limit."""

    total: Tensor
    dense_accuracy: float
    answer_accuracy: float | None = None


class Learner:
    """Model and dense head, and the loss of a batch."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, *, compiled: bool) -> None:
        self.model = build_model(tokenizer)
        self.head = DenseHead(self.model.lm_head.in_features, COLUMNS, LABELS)
        self._forward = Forward(self.model, compiled=compiled)

    def parameters(self) -> list[nn.Parameter]:
        """All that learns."""
        return [*self.model.parameters(), *self.head.parameters()]

    def losses(self, batch: Batch, phase: Phase, step: int) -> Losses:
        """Forward of one batch; the dense loss alone where the tower learns alone."""
        visual = self._forward.tower(batch.patches, batch.grid)
        seen = visual.detach() if step < phase.head_first else visual
        logits = self.head(seen, batch.chosen).float()
        labels = batch.dense[batch.chosen]
        dense = functional.cross_entropy(logits, labels)
        shown = labels > 0
        accuracy = (logits.argmax(-1) == labels)[shown].float().mean().item()
        if not phase.with_text:
            return Losses(dense, accuracy)
        answer, answer_accuracy = self._answer_loss(batch, visual)
        return Losses(answer + phase.dense_weight * dense, accuracy, answer_accuracy)

    def _answer_loss(self, batch: Batch, visual: Tensor) -> tuple[Tensor, float]:
        embedded = self.model.model.language_model.embed_tokens(batch.ids)
        flat = visual.reshape(-1, visual.shape[-1]).to(embedded.dtype)
        embedded = embedded.masked_scatter(batch.visual[..., None], flat)
        hidden = self._forward.language(embedded, batch.positions)
        asked = batch.targets != IGNORED
        predicted = self.model.lm_head(hidden[asked]).float()
        targets = batch.targets[asked]
        accuracy = (predicted.argmax(-1) == targets).float().mean().item()
        return functional.cross_entropy(predicted, targets), accuracy


@dataclass(frozen=True)
class Settings:
    """What a run depends on.

    Attributes:
        out: folder that keeps its state.
        phase: how it trains.
        start: folder of the run or checkpoint whose weights it starts from; None: random ones.
        seed: of weights and pictures.
        device: torch's name.
        half: whether products are of bfloat16.
        compiled: whether blocks are compiled.
    """

    out: Path
    phase: Phase
    start: Path | None
    seed: int
    device: str = "cpu"
    half: bool = True
    compiled: bool = False


class Run:
    """A training run: model, optimiser, place in the stream, and the folder that keeps them."""

    def __init__(self, settings: Settings) -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.step = settings, 0
        self.tokenizer = build_tokenizer()
        self.learner = Learner(self.tokenizer, compiled=settings.compiled)
        self.curve: list[dict[str, float]] = []
        self._start()
        for module in (self.learner.model, self.learner.head):
            nn.Module.to(module, settings.device)
        self.optimiser = torch.optim.AdamW(
            self.learner.parameters(),
            lr=settings.phase.peak_rate,
            betas=(0.9, 0.98),
            weight_decay=0.02,
            fused=True,
        )
        if (settings.out / STATE).exists():
            self._resume(read_state(settings.out))

    def _start(self) -> None:
        start, model = self.settings.start, self.learner.model
        if start is None:
            sample = replace(self.settings.phase, steps=30)
            shown = [batch.patches for batch in Stream(self.tokenizer, sample, self.settings.seed)]
            whiten(model, torch.cat([s.flatten(0, 1)[::4] for s in shown if s.shape[-1] == 588]))
        elif (start / STATE).exists():
            state = read_state(start)
            grow(model, state["model"], state["tokens"], self.tokenizer.get_vocab())
            self.learner.head.load_state_dict(state["head"])
        else:
            tokens = PreTrainedTokenizerFast.from_pretrained(start).get_vocab()
            shipped = Qwen2VLForConditionalGeneration.from_pretrained(start, dtype=torch.float32)
            grow(model, shipped.state_dict(), tokens, self.tokenizer.get_vocab())

    def _resume(self, state: dict[str, Any]) -> None:
        self.learner.model.load_state_dict(state["model"])
        self.learner.head.load_state_dict(state["head"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.curve = state["step"], state["curve"]

    def save(self) -> None:
        """Write the state, and the checkpoint as it would ship."""
        out = self.settings.out
        out.mkdir(parents=True, exist_ok=True)
        state = {
            "model": self.learner.model.state_dict(),
            "tokens": self.tokenizer.get_vocab(),
            "head": self.learner.head.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "curve": self.curve,
        }
        torch.save(state, out / f"{STATE}.new")
        (out / f"{STATE}.new").replace(out / STATE)
        save_checkpoint(self.learner.model, self.tokenizer, out / "checkpoint")
        (out / "curve.json").write_text(json.dumps(self.curve, indent=1) + "\n")

    def train(self, workers: int, until: int | None = None) -> None:
        """Run to the last step, or `until` another, with a progress bar."""
        phase = self.settings.phase
        stream = Stream(self.tokenizer, phase, self.settings.seed, self.step)
        loader = DataLoader(
            stream, batch_size=None, num_workers=workers, prefetch_factor=8 if workers else None
        )
        seen: dict[str, list[float]] = defaultdict(list)
        bar = tqdm(total=phase.steps, initial=self.step, mininterval=10, unit="step")
        for batch in loader:
            if self.step == until:
                break
            self._step(batch.to(self.settings.device), seen)
            bar.update()
            if self.step % REPORT_EVERY == 0 or self.step == phase.steps:
                self.curve.append(_means(self.step, seen))
                bar.set_postfix({k: f"{v:.3g}" for k, v in self.curve[-1].items() if k != "step"})
                seen.clear()
            if self.step % SAVE_EVERY == 0:
                self.save()
        self.save()

    def _step(self, batch: Batch, seen: dict[str, list[float]]) -> None:
        phase = self.settings.phase
        for group in self.optimiser.param_groups:
            group["lr"] = phase.rate(self.step)
        kind = torch.device(self.settings.device).type
        with torch.autocast(kind, torch.bfloat16, enabled=self.settings.half):
            result = self.learner.losses(batch, phase, self.step)
        self.optimiser.zero_grad()
        result.total.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.learner.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        seen["loss"].append(result.total.item())
        seen["dense"].append(result.dense_accuracy)
        if result.answer_accuracy is not None:
            seen[batch.name].append(result.answer_accuracy)


def _means(step: int, seen: dict[str, list[float]]) -> dict[str, float]:
    means = {name: round(sum(values) / len(values), 4) for name, values in sorted(seen.items())}
    return {"step": step} | means


def read_state(run: Path) -> dict[str, Any]:
    """A run's state on the CPU."""
    state: dict[str, Any] = torch.load(run / STATE, weights_only=True, map_location="cpu")
    return state


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--phase", choices=sorted(PHASES), required=True)
    parser.add_argument("--start", type=Path, help="run or checkpoint folder to start from")
    parser.add_argument("--steps", type=int, default=0, help="optimiser steps; 0: the phase's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--float32", action="store_true", help="no bfloat16 products")
    parser.add_argument("--compile", action="store_true", help="compile blocks; needs g++")
    parser.add_argument("--threads", type=int, default=0, help="torch threads; 0: torch's choice")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw pictures")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    phase = PHASES[options.phase]
    phase = replace(phase, steps=options.steps or phase.steps)
    settings = Settings(
        options.out,
        phase,
        options.start,
        options.seed,
        options.device,
        not options.float32,
        options.compile,
    )
    Run(settings).train(options.workers)


if __name__ == "__main__":
    main()

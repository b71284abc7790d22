"""Run: one phase of a training, that a state in its folder lets go on where it was cut."""

import json
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset
from tqdm import tqdm
from transformers import PreTrainedTokenizerFast, Qwen2VLForConditionalGeneration

from training.batches import Batch, Batcher
from training.export import STATE, save_checkpoint
from training.grow import grow
from training.learner import Learner
from training.model import whiten
from training.peers import Peers
from training.phases import Phase
from training.tasks import draw_batch
from training.tokens import build_tokenizer

REPORT_EVERY: Final = 100
SAVE_EVERY: Final = 1000


class Stream(IterableDataset[Batch]):
    """A peer's batches of a phase, one a step, from step `first` on."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        phase: Phase,
        seed: int,
        first: int = 0,
        peers: Peers = Peers(),  # noqa: B008 - frozen
    ) -> None:
        self._batcher = Batcher(tokenizer)
        self._phase, self._seed, self._first, self._peers = phase, seed, first, peers

    def __iter__(self) -> Iterator[Batch]:
        worker = torch.utils.data.get_worker_info()
        offset, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        names, weights = list(self._phase.groups), list(self._phase.groups.values())
        for step in range(self._first + offset, self._phase.steps, stride):
            number = step * self._peers.count + self._peers.number
            random_ = random.Random(f"{self._seed}/{number}")
            name = random_.choices(names, weights=weights)[0]
            yield draw_batch(self._batcher, random_, name)


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

    def __init__(self, settings: Settings, peers: Peers = Peers()) -> None:  # noqa: B008 - frozen
        torch.manual_seed(settings.seed)
        self.settings, self.peers, self.step = settings, peers, 0
        self.tokenizer = build_tokenizer()
        self.learner = Learner(self.tokenizer, compiled=settings.compiled)
        self.curve: list[dict[str, float]] = []
        self._start()
        for module in (self.learner.model, self.learner.heads):
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
            self.learner.heads.load_state_dict(state["heads"])
        else:
            tokens = PreTrainedTokenizerFast.from_pretrained(start).get_vocab()
            shipped = Qwen2VLForConditionalGeneration.from_pretrained(start, dtype=torch.float32)
            grow(model, shipped.state_dict(), tokens, self.tokenizer.get_vocab())

    def _resume(self, state: dict[str, Any]) -> None:
        self.learner.model.load_state_dict(state["model"])
        self.learner.heads.load_state_dict(state["heads"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.curve = state["step"], state["curve"]

    def save(self) -> None:
        """Write the state, and the checkpoint as it would ship; the first of the peers does."""
        if self.peers.number:
            return
        out = self.settings.out
        out.mkdir(parents=True, exist_ok=True)
        state = {
            "model": self.learner.model.state_dict(),
            "tokens": self.tokenizer.get_vocab(),
            "heads": self.learner.heads.state_dict(),
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
        stream = Stream(self.tokenizer, phase, self.settings.seed, self.step, self.peers)
        loader = DataLoader(
            stream, batch_size=None, num_workers=workers, prefetch_factor=8 if workers else None
        )
        seen: dict[str, list[float]] = defaultdict(list)
        bar = tqdm(
            total=phase.steps,
            initial=self.step,
            mininterval=10,
            unit="step",
            disable=self.peers.number > 0,
        )
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
            result = self.learner.losses(batch, phase)
        self.optimiser.zero_grad()
        result.total.backward()  # type: ignore[no-untyped-call]
        self.peers.average(self.learner.parameters())
        torch.nn.utils.clip_grad_norm_(self.learner.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        seen["loss"].append(result.total.item())
        seen["dense"].append(result.dense_accuracy)
        if result.answer is not None:
            seen[batch.name].append(result.answer_accuracy)
        if result.pointing:
            seen["pointing"].append(result.pointing)


def _means(step: int, seen: dict[str, list[float]]) -> dict[str, float]:
    means = {name: round(sum(values) / len(values), 4) for name, values in sorted(seen.items())}
    return {"step": step} | means


def read_state(run: Path) -> dict[str, Any]:
    """A run's state on the CPU."""
    state: dict[str, Any] = torch.load(run / STATE, weights_only=True, map_location="cpu")
    return state

"""Stages: the halves of a model behind queues, as the replicas of the graph run them."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from pipeline.encode import Encoder
from pipeline.generate import Engine, Generator, LanguageModel
from pipeline.land.rows import Answer
from pipeline.vlm.clip import Clip, Item
from schemas.features import Features
from schemas.jobs import Task
from services.graph.batches import STUCK_S, Batches
from services.graph.blame import Blame, end_process
from services.graph.flow import Flow
from services.graph.joined import Joined
from services.graph.options import VllmOptions
from services.graph.packs import PACK_TOKENS, visual_tokens
from services.model.reader import answer

In = TypeVar("In")
Out = TypeVar("Out")
Tasks = Sequence[Task]
Shown = tuple[Sequence[Item], Tasks]
Encoded = tuple[Sequence[Features], Tasks]
Answered = list[list[Answer]]


class EncodeStage:
    """The vision half: pictures in, features out. Its cost is counted in visual tokens."""

    def __init__(self, directory: Path, device: str) -> None:
        """Load it.

        Raises:
            SetupError: `model_missing` or `model_unsupported`.
        """
        encoder = Encoder(directory, device=device)
        self.queue = Batches(
            _grouped(encoder.encode), visual_tokens, PACK_TOKENS, _noise, end_process
        )

    async def encode(self, items: Sequence[Item]) -> list[Features]:
        """Features of pictures or clips of one shard, in their order."""
        return await self.queue.submit(items)


class DecodeStage:
    """The language half: features in, answers out. Its cost is counted in tokens to decode."""

    def __init__(
        self, directory: Path, device: str, vllm: VllmOptions | None = None, threads: int = 0
    ) -> None:
        """Load it, in vLLM where there are options for that.

        Raises:
            SetupError: `usage`, if vLLM is not installed; `model_missing` or `model_unsupported`.
        """
        self.queue: Flow[Encoded, Answered]
        if vllm is None:
            generator = Generator(directory, device=device)
            self.queue = joined(partial(_ask, generator), _decode, lambda asked: asked)
            return
        engine = Engine(
            directory,
            device=device,
            tensor_parallel=vllm.tensor_parallel,
            share=vllm.share,
            threads=threads,
        )
        self.queue = Flow(partial(_ask, engine), _decode, engine.check)

    async def answer(self, features: Sequence[Features], tasks: Tasks) -> Answered:
        """For each picture one answer a task."""
        return await self.queue.submit((features, tasks))


class ReadStage:
    """Both halves, on one device."""

    def __init__(self, directory: Path, device: str) -> None:
        """Load them.

        Raises:
            SetupError: `model_missing` or `model_unsupported`.
        """
        encoder, generator = Encoder(directory, device=device), Generator(directory, device=device)

        def read(shown: Shown) -> Answered:
            items, tasks = shown
            with generator.paused():
                features = encoder.encode(items)
            return _ask(generator, (features, tasks))

        def alike(shown: Shown) -> Shown:
            items, tasks = shown
            return _noise(items), tasks

        self.queue = joined(read, _decode, alike)

    async def read(self, items: Sequence[Item], tasks: Tasks) -> Answered:
        """For each picture or clip one answer a task."""
        return await self.queue.submit((items, tasks))


def joined(
    work: Callable[[In], Out], cost: Callable[[In], int], alike: Callable[[In], In]
) -> Flow[In, Out]:
    """Our own model, which answers together whatever is asked at a time."""
    blame = Blame(work, alike, end_process)
    return Flow(Joined(work, cost, blame), cost, blame.check, STUCK_S)


def _grouped(
    work: Callable[[Sequence[In]], list[Out]],
) -> Callable[[Sequence[Sequence[In]]], list[list[Out]]]:
    """Do for groups in one call what `work` does for single things."""

    def grouped(groups: Sequence[Sequence[In]]) -> list[list[Out]]:
        results = iter(work([one for group in groups for one in group]))
        return [[next(results) for _ in group] for group in groups]

    return grouped


def _ask(model: LanguageModel, asked: Encoded) -> Answered:
    features, tasks = asked
    return answer(model, [(one, tasks) for one in features])


def _decode(asked: tuple[Sequence[object], Tasks]) -> int:
    """Tokens to decode, at the most."""
    items, tasks = asked
    return len(items) * sum(task.max_new_tokens for task in tasks)


def _noise(items: Sequence[Item]) -> Sequence[Item]:
    """Other items of the same sizes: the encoder knows those that it has seen."""
    random = np.random.default_rng()

    def like(item: Item) -> Item:
        if isinstance(item, Clip):
            return Clip(random.integers(0, 256, item.frames.shape, np.uint8), item.fps)
        return random.integers(0, 256, item.shape, np.uint8)

    return [like(item) for item in items]

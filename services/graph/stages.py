"""Stages: the halves of a model behind queues, as the replicas of the graph run them."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

from pipeline.encode import Encoder
from pipeline.generate import Engine, Generator
from pipeline.land.rows import Answer
from pipeline.vlm.clip import Clip, Item
from schemas.features import Features
from schemas.jobs import Task
from services.graph.batches import Batches, end_process
from services.graph.flow import Flow
from services.graph.options import VllmOptions
from services.graph.packs import PACK_TOKENS, visual_tokens
from services.model.reader import answer

In = TypeVar("In")
Out = TypeVar("Out")
Tasks = Sequence[Task]
Encoded = Sequence[tuple[Features, Tasks]]
Answered = list[list[Answer]]

_DECODE_TOKENS: Final = 16384  # of one call of the language model: 64 answers of 256 tokens


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
        self.queue: Flow[Encoded, Answered] | Batches[Encoded, Answered]
        if vllm is None:
            work = _grouped(partial(answer, Generator(directory, device=device)))
            self.queue = Batches(work, _decode, _DECODE_TOKENS, lambda asked: asked, end_process)
            return
        engine = Engine(
            directory,
            device=device,
            tensor_parallel=vllm.tensor_parallel,
            share=vllm.share,
            threads=threads,
        )
        self.queue = Flow(partial(answer, engine), _decode, engine.check)

    async def answer(self, features: Sequence[Features], tasks: Tasks) -> list[list[Answer]]:
        """For each picture one answer a task."""
        return await self.queue.submit([(one, tasks) for one in features])


class ReadStage:
    """Both halves one after the other, on one device."""

    def __init__(self, directory: Path, device: str) -> None:
        """Load them.

        Raises:
            SetupError: `model_missing` or `model_unsupported`.
        """
        encoder, generator = Encoder(directory, device=device), Generator(directory, device=device)

        def read(asked: Sequence[tuple[Item, Tasks]]) -> list[list[Answer]]:
            encoded = encoder.encode([item for item, _ in asked])
            tasks = [tasks for _, tasks in asked]
            return answer(generator, list(zip(encoded, tasks, strict=True)))

        def alike(asked: Sequence[tuple[Item, Tasks]]) -> Sequence[tuple[Item, Tasks]]:
            items = _noise([item for item, _ in asked])
            return list(zip(items, (tasks for _, tasks in asked), strict=True))

        self.queue = Batches(_grouped(read), _decode, _DECODE_TOKENS, alike, end_process)

    async def read(self, items: Sequence[Item], tasks: Tasks) -> list[list[Answer]]:
        """For each picture or clip one answer a task."""
        return await self.queue.submit([(item, tasks) for item in items])


def _grouped(
    work: Callable[[Sequence[In]], list[Out]],
) -> Callable[[Sequence[Sequence[In]]], list[list[Out]]]:
    """Do for groups in one call what `work` does for single things."""

    def grouped(groups: Sequence[Sequence[In]]) -> list[list[Out]]:
        results = iter(work([one for group in groups for one in group]))
        return [[next(results) for _ in group] for group in groups]

    return grouped


def _decode(asked: Sequence[tuple[object, Tasks]]) -> int:
    return sum(task.max_new_tokens for _, tasks in asked for task in tasks)


def _noise(items: Sequence[Item]) -> Sequence[Item]:
    """Other items of the same sizes: the encoder knows those that it has seen."""
    random = np.random.default_rng()

    def like(item: Item) -> Item:
        if isinstance(item, Clip):
            return Clip(random.integers(0, 256, item.frames.shape, np.uint8), item.fps)
        return random.integers(0, 256, item.shape, np.uint8)

    return [like(item) for item in items]

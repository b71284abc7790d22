"""Replicas: the stages as Serve runs them, one process each.

Pictures and features travel by reference through Ray's object store, inside a list: a bare
reference would be resolved on the way. Torch is imported where a model is loaded, not by those
that only need the names of these classes.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import ray
from ray import ObjectRef
from ray.exceptions import ObjectLostError

from pipeline.land.rows import Answer
from pipeline.vlm.clip import Item
from schemas.errors import TransientError
from schemas.features import Features
from schemas.jobs import Task
from services.checkpoints.found import checkpoint
from services.graph.batches import Batches
from services.graph.flow import Flow
from services.graph.meters import StageMeters
from services.graph.options import VllmOptions
from services.graph.scaling import SIGNAL
from services.model.wire import ServedModel
from services.settings import Settings

_FETCH_S: Final = 15.0  # for features of one pack; encoding them again is the other way
Pictures = Sequence["ObjectRef[list[Item]]"]
Packed = Sequence["ObjectRef[list[bytes]]"]


class FeaturesLostError(Exception):
    """The replica that held the features is gone; the pictures must be encoded again."""


class Queued:
    """What Serve asks of a process with a queue before what it runs."""

    queue: Batches[Any, Any] | Flow[Any, Any]

    def __init__(self) -> None:
        """Count for the stage."""
        self.meters = StageMeters(type(self).__name__.removesuffix("Replica"))

    def record_autoscaling_stats(self) -> dict[str, float]:
        """The signal that the stage is scaled by."""
        self.meters.waiting(self.queue.waiting)
        return {SIGNAL: self.queue.waiting}

    def check_health(self) -> None:
        """Raise if the replica should be replaced."""
        self.meters.waiting(self.queue.waiting)
        self.queue.check()


class Replica(Queued):
    """A process with a model, or half of one."""

    def __init__(self, model: str, threads: int, settings: Settings | None) -> None:
        """Find the checkpoint on this machine; None stands for the process's own environment."""
        from services.model.facts import model_facts
        from services.model.reader import set_threads

        super().__init__()
        set_threads(threads)
        self.folder = checkpoint(settings or Settings.from_environment(), model).folder
        facts = model_facts(self.folder)
        self._facts = ServedModel(facts.name, facts.revision, facts.min_pixels, facts.max_pixels)

    def model(self) -> ServedModel:
        """What is served."""
        return self._facts

    def check_revision(self, revision: str) -> None:
        """Refuse a question for another model: replicas differ while one replaces the other.

        Raises:
            TransientError: `model_changed`.
        """
        check_revision(revision, self._facts)


def check_revision(revision: str, served: ServedModel) -> None:
    """Refuse a question for another model than is served; it names none if it is for any.

    Raises:
        TransientError: `model_changed`.
    """
    if revision not in ("", served.revision):
        message = (
            f"the question is for revision {revision} of a model, and this is "
            f"{served.name}, revision {served.revision}; read the model anew"
        )
        raise TransientError("model_changed", message)


class EncoderReplica(Replica):
    """A process with the vision half."""

    def __init__(self, model: str, device: str, threads: int, settings: Settings | None) -> None:
        from services.graph.stages import EncodeStage

        super().__init__(model, threads, settings)
        self._stage = EncodeStage(self.folder, device)
        self.queue = self._stage.queue

    async def encode(self, pictures: Pictures, revision: str) -> Packed:
        """Features of pictures; they live as long as this process and somebody who wants them."""
        self.check_revision(revision)
        with self.meters.asked():
            features = await self._stage.encode(await pictures[0])
        self.meters.made(sum(len(one.tokens) for one in features))
        return [await asyncio.to_thread(_put, features)]


class DecoderReplica(Replica):
    """A process with the language half."""

    def __init__(
        self,
        model: str,
        device: str,
        threads: int,
        settings: Settings | None,
        vllm: VllmOptions | None,
    ) -> None:
        from services.graph.stages import DecodeStage

        super().__init__(model, threads, settings)
        self._stage = DecodeStage(self.folder, device, vllm, threads)
        self.queue = self._stage.queue

    async def answer(
        self, features: Packed, tasks: Sequence[Task], revision: str
    ) -> list[list[Answer]]:
        """For each picture one answer a task.

        Raises:
            FeaturesLostError: they cannot be had any more.
        """
        self.check_revision(revision)
        encoded = await fetched(features)
        with self.meters.asked():
            answers = await self._stage.answer(encoded, tasks)
        self.meters.made(_output_tokens(answers))
        return answers


class ReaderReplica(Replica):
    """A process with both halves."""

    def __init__(self, model: str, device: str, threads: int, settings: Settings | None) -> None:
        from services.graph.stages import ReadStage

        super().__init__(model, threads, settings)
        self._stage = ReadStage(self.folder, device)
        self.queue = self._stage.queue

    async def read(
        self, pictures: Pictures, tasks: Sequence[Task], revision: str
    ) -> list[list[Answer]]:
        """For each picture one answer a task."""
        self.check_revision(revision)
        with self.meters.asked():
            answers = await self._stage.read(await pictures[0], tasks)
        self.meters.made(_output_tokens(answers))
        return answers


def _output_tokens(answers: Sequence[Sequence[Answer]]) -> int:
    return sum(one.output_tokens for row in answers for one in row)


async def fetched(packed: Packed) -> list[Features]:
    """What an encoder holds for whoever wants it.

    Raises:
        FeaturesLostError: it cannot be had any more, or not in time.
    """
    try:
        parts = await asyncio.wait_for(_get(packed), _FETCH_S)
    except (ObjectLostError, TimeoutError) as error:
        raise FeaturesLostError(repr(error)) from None
    return [Features.from_ipc(one) for one in parts]


def _put(features: Sequence[Features]) -> "ObjectRef[list[bytes]]":
    return ray.put([one.to_ipc() for one in features])


async def _get(packed: Packed) -> list[bytes]:
    return await packed[0]

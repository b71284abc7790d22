"""Reading: pictures to answers by the replicas of one stage or of two."""

from collections.abc import Sequence
from typing import Any, Protocol

from ray import ObjectRef
from ray.serve.handle import DeploymentHandle

from pipeline.land.rows import Answer
from pipeline.vlm.clip import Item
from schemas.jobs import Task
from services.graph.asking import Questions, ask_once
from services.graph.replicas import Packed
from services.model.wire import ServedModel

Pack = ObjectRef[list[Item]]
Handle = DeploymentHandle[Any]
Answers = list[list[Answer]]
Read = tuple[Answers, Packed | None]
"""Answers, and the features that they are about, for as long as their encoder lives."""


class Reading(Protocol):
    """How the ingress has pictures read.

    Attributes:
        has_halves: whether it can be asked about features, and gives those of pictures.
    """

    has_halves: bool

    async def read(self, pictures: Pack, tasks: Sequence[Task], revision: str) -> Read:
        """For each picture one answer a task, by the model of this revision; empty for any."""

    async def of_features(self, features: Packed, tasks: Sequence[Task], revision: str) -> Answers:
        """The same of features."""

    async def model(self) -> ServedModel:
        """What reads."""


class Split:
    """By an encoder and a decoder."""

    has_halves = True

    def __init__(self, encoder: Handle, decoder: Handle) -> None:
        self._encoder, self._decoder = encoder, decoder
        self._questions = Questions()

    async def read(self, pictures: Pack, tasks: Sequence[Task], revision: str) -> Read:
        """For each picture one answer a task.

        Whichever half died, both are asked again: features die with the encoder that made them,
        and one that lives knows the pictures by their content and need not encode them again.
        """

        async def both() -> Read:
            features: Packed = await self._encoder.encode.remote([pictures], revision)
            return await self._decoder.answer.remote(features, tasks, revision), features

        return await self._questions.ask(both)

    async def of_features(self, features: Packed, tasks: Sequence[Task], revision: str) -> Answers:
        """For each picture one answer a task."""
        return await self._questions.ask(
            lambda: self._decoder.answer.remote(features, tasks, revision)
        )

    async def model(self) -> ServedModel:
        """What reads."""
        return await ask_once(self._decoder.model.remote)


class Together:
    """By replicas that have both halves."""

    has_halves = False

    def __init__(self, reader: Handle) -> None:
        self._reader = reader
        self._questions = Questions()

    async def read(self, pictures: Pack, tasks: Sequence[Task], revision: str) -> Read:
        """For each picture one answer a task."""
        answers: Answers = await self._questions.ask(
            lambda: self._reader.read.remote([pictures], tasks, revision)
        )
        return answers, None

    async def of_features(self, features: Packed, tasks: Sequence[Task], revision: str) -> Answers:
        """See `has_halves`."""
        raise NotImplementedError

    async def model(self) -> ServedModel:
        """What reads."""
        return await ask_once(self._reader.model.remote)

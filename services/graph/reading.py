"""Reading: pictures to answers by the replicas of one stage or of two."""

from collections.abc import Sequence
from typing import Any, Protocol

from ray import ObjectRef
from ray.serve.handle import DeploymentHandle

from pipeline.land.rows import Answer
from pipeline.vlm.clip import Item
from schemas.jobs import Task
from services.graph.asking import Questions, ask_once
from services.model.wire import ServedModel

Pack = ObjectRef[list[Item]]
Handle = DeploymentHandle[Any]


class Reading(Protocol):
    """How the ingress has pictures read."""

    async def read(
        self, pictures: Pack, tasks: Sequence[Task], revision: str
    ) -> list[list[Answer]]:
        """For each picture one answer a task, by the model of this revision; empty for any."""

    async def model(self) -> ServedModel:
        """What reads."""


class Split:
    """By an encoder and a decoder."""

    def __init__(self, encoder: Handle, decoder: Handle) -> None:
        self._encoder, self._decoder = encoder, decoder
        self._questions = Questions()

    async def read(
        self, pictures: Pack, tasks: Sequence[Task], revision: str
    ) -> list[list[Answer]]:
        """For each picture one answer a task.

        Whichever half died, both are asked again: features die with the encoder that made them,
        and one that lives knows the pictures by their content and need not encode them again.
        """

        async def both() -> list[list[Answer]]:
            features = await self._encoder.encode.remote([pictures], revision)
            answers: list[list[Answer]] = await self._decoder.answer.remote(
                features, tasks, revision
            )
            return answers

        return await self._questions.ask(both)

    async def model(self) -> ServedModel:
        """What reads."""
        return await ask_once(self._decoder.model.remote)


class Together:
    """By replicas that have both halves."""

    def __init__(self, reader: Handle) -> None:
        self._reader = reader
        self._questions = Questions()

    async def read(
        self, pictures: Pack, tasks: Sequence[Task], revision: str
    ) -> list[list[Answer]]:
        """For each picture one answer a task."""
        return await self._questions.ask(
            lambda: self._reader.read.remote([pictures], tasks, revision)
        )

    async def model(self) -> ServedModel:
        """What reads."""
        return await ask_once(self._reader.model.remote)

"""Reading: pictures to answers by the replicas, whichever of them die meanwhile."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol, TypeVar

from ray import ObjectRef
from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from pipeline.land.rows import Answer
from schemas.errors import ReelpageError, TransientError
from schemas.jobs import Task
from services.graph.replicas import FeaturesLostError
from services.model.asking import Picture
from services.model.wire import ServedModel

T = TypeVar("T")
Piece = ObjectRef[list[Picture]]
Handle = DeploymentHandle[Any]

_ATTEMPTS: Final = 4
_PAUSE_S: Final = 0.5


class Reading(Protocol):
    """How the ingress has pictures read."""

    async def read(self, pictures: Piece, tasks: Sequence[Task]) -> list[list[Answer]]:
        """For each picture one answer a task."""

    async def model(self) -> ServedModel:
        """What reads."""


class Split:
    """By an encoder and a decoder."""

    def __init__(self, encoder: Handle, decoder: Handle) -> None:
        self._encoder, self._decoder = encoder, decoder

    async def read(self, pictures: Piece, tasks: Sequence[Task]) -> list[list[Answer]]:
        """For each picture one answer a task.

        Whichever half died, both are asked again: features die with the encoder that made them,
        and one that lives knows the pictures by their content and need not encode them again.
        """

        async def once() -> list[list[Answer]]:
            features = await self._encoder.encode.remote([pictures])
            answers: list[list[Answer]] = await self._decoder.answer.remote(features, tasks)
            return answers

        return await ask(once)

    async def model(self) -> ServedModel:
        """What reads."""
        return await ask(self._decoder.model.remote)


class Together:
    """By replicas that have both halves."""

    def __init__(self, reader: Handle) -> None:
        self._reader = reader

    async def read(self, pictures: Piece, tasks: Sequence[Task]) -> list[list[Answer]]:
        """For each picture one answer a task."""
        return await ask(lambda: self._reader.read.remote([pictures], tasks))

    async def model(self) -> ServedModel:
        """What reads."""
        return await ask(self._reader.model.remote)


async def ask(call: Callable[[], Awaitable[T]], attempts: int = _ATTEMPTS) -> T:
    """Call a replica, and another one if it dies.

    Raises:
        ReelpageError: what the replica raised; `graph_failed`, for anything else that it raised
            and when the attempts are used up.
    """
    lost: Exception | None = None
    for attempt in range(attempts):
        if attempt:
            await asyncio.sleep(_PAUSE_S * 2**attempt * random.uniform(0.5, 1))
        try:
            return await call()
        except FeaturesLostError as error:
            lost = error
        except RayTaskError as error:
            if isinstance(error.cause, ReelpageError):
                raise error.cause from None
            message = f"a replica failed: {error.cause!r}"
            raise TransientError("graph_failed", message) from error
        except (RayError, RayServeException) as error:
            lost = error
    message = f"replicas died in {attempts} attempts, the last one: {lost!r}"
    raise TransientError("graph_failed", message) from lost

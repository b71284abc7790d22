"""Asking: calls to replicas that may die, and what it says of a question that they do.

A replica that dies takes all questions with it that it held, and one of them may be the reason.
So all of them are asked again one at a time: who is not to blame is answered then, and whom the
replicas die of again and again has failed, instead of ending one replica after the other.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from ray.exceptions import (
    ActorDiedError,
    OutOfMemoryError,
    RayError,
    RayTaskError,
    WorkerCrashedError,
)
from ray.serve.exceptions import RayServeException

from schemas.errors import InputError, ReelpageError, TransientError
from services.graph.replicas import FeaturesLostError

T = TypeVar("T")

_DEADLINE_S: Final = 900.0  # of one shard
_ATTEMPTS: Final = 4
_DEATHS: Final = 3
_PAUSE_S: Final = 0.5
_DIED: Final = (ActorDiedError, OutOfMemoryError, WorkerCrashedError)


class Questions:
    """Has questions answered, whatever happens to the replicas."""

    def __init__(self) -> None:
        self._alone = asyncio.Lock()

    async def ask(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call replicas until one answers.

        Raises:
            ReelpageError: what a replica raised; InputError `model_failed`, where replicas died
                of this again and again; TransientError `graph_failed`, for anything else.
        """
        deaths, lost = 0, 0
        while True:
            try:
                return await (self._isolated(call) if deaths else once(call))
            except _DIED as error:
                deaths += 1
                if deaths == _DEATHS:
                    message = (
                        f"{deaths} processes of the model died with this question in work, "
                        f"the last one: {_words(error)}; leave it out"
                    )
                    raise InputError("model_failed", message) from error
            except (FeaturesLostError, RayError, RayServeException) as error:
                lost += 1
                if lost == _ATTEMPTS:
                    message = f"replicas were lost in {lost} attempts: {_words(error)}"
                    raise TransientError("graph_failed", message) from error
            await asyncio.sleep(_PAUSE_S * 2 ** (deaths + lost) * random.uniform(0.5, 1))

    async def _isolated(self, call: Callable[[], Awaitable[T]]) -> T:
        async with self._alone:
            return await once(call)


async def once(call: Callable[[], Awaitable[T]]) -> T:
    """Call a replica.

    Raises:
        ReelpageError: what the replica raised; `graph_failed`, for anything else that it raised.
        RayError: the replica is lost.
        RayServeException: none could be had.
        FeaturesLostError: the features of an earlier call are.
    """
    try:
        return await call()
    except FeaturesLostError:  # as Ray raises it, it is a RayTaskError too
        raise
    except RayTaskError as error:
        if isinstance(error.cause, ReelpageError):
            raise error.cause from None
        message = f"a replica failed: {_words(error.cause)}"
        raise TransientError("graph_failed", message) from error


async def ask_once(call: Callable[[], Awaitable[T]]) -> T:
    """Call a replica a single time.

    Raises:
        ReelpageError: what the replica raised; `graph_failed`, for anything else.
    """
    try:
        return await once(call)
    except (RayError, RayServeException) as error:
        message = f"a replica was lost: {_words(error)}"
        raise TransientError("graph_failed", message) from error


@asynccontextmanager
async def deadline(missing: str) -> AsyncIterator[None]:
    """Bound the time of one shard.

    Raises:
        TransientError: `graph_failed`.
    """
    try:
        async with asyncio.timeout(_DEADLINE_S):
            yield
    except TimeoutError as error:
        message = f"{missing} within {_DEADLINE_S:g} s"
        raise TransientError("graph_failed", message) from error


def _words(error: object) -> str:
    """An error on one line."""
    return " ".join(repr(error).split())[:300]

"""Ingress: questions about shards, and the lander's requests, over HTTP."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from pipeline.land.rows import Answer
from pipeline.vlm.clip import Item
from schemas.errors import TransientError
from schemas.jobs import Task
from services.calls.gate import Gate, Handler
from services.calls.replies import to_json
from services.graph.asking import ask_once
from services.graph.packs import packs
from services.graph.reading import Handle, Pack, Reading, Split, Together
from services.graph.recognising import Recognising
from services.graph.shards import shard_of
from services.lander.answering import COMMIT, LOOK
from services.model.asking import shard_answers
from services.model.wire import (
    SHARDS,
    TEXT,
    ServedModel,
    answers_to_json,
    model_to_json,
    question_from_json,
    text_question_from_json,
    text_to_json,
)
from services.settings import Settings
from services.storage.places import open_place

_DEADLINE_S: Final = 900.0  # of one shard


class Graph:
    """The process that workers talk to."""

    def __init__(
        self,
        stages: Sequence[Handle],
        recogniser: Handle,
        lander: Handle,
        settings: Settings | None,
        admitted: int,
    ) -> None:
        """Connect.

        Args:
            stages: an encoder and a decoder, or what is both.
            recogniser: reads text.
            lander: commits to the lake's tables.
            settings: None for what this process's own environment says.
            admitted: shards at a time.
        """
        settings = settings or Settings.from_environment()
        self._objects = open_place(settings.lake, settings).objects
        self._reading: Reading = Split(*stages) if len(stages) > 1 else Together(*stages)
        self._recognising = Recognising(recogniser)
        self._lander, self._admitted = lander, admitted
        self._threads = ThreadPoolExecutor(admitted, "shard")
        self._read_last: ServedModel | None = None
        self._asked: dict[tuple[str, bytes], asyncio.Task[bytes]] = {}
        self._gate = Gate(settings.secret, self._routes(), self._ready)

    async def __call__(self, request: Request) -> Response:
        """Serve one request."""
        return await self._gate(request)

    def _routes(self) -> dict[tuple[str, str], Handler]:
        return {
            ("GET", "/v1/model"): self._model,
            ("GET", "/v1/replicas"): self._replicas,
            ("POST", SHARDS): partial(self._ask, SHARDS, self._answer),
            ("POST", TEXT): partial(self._ask, TEXT, self._text),
            **{("POST", path): partial(self._land, path) for path in (LOOK, COMMIT)},
        }

    async def _model(self, _: bytes) -> bytes:
        return model_to_json(await self._reading.model())

    async def _known(self, revision: str) -> ServedModel:
        """The model of a revision as it was read last; else as it is now, which may refuse."""
        if self._read_last is None or self._read_last.revision != revision:
            self._read_last = await self._reading.model()
        return self._read_last

    async def _replicas(self, _: bytes) -> bytes:
        return to_json({"replicas": await asyncio.to_thread(_running)})

    async def _land(self, path: str, body: bytes) -> bytes:
        """Pass a request on; who asked knows what a lost reply means, so it is sent once."""
        reply: bytes = await ask_once(lambda: self._lander.answer.remote(path, body))
        return reply

    async def _ready(self) -> None:
        """Raise a ReelpageError while the model or the lake cannot be reached."""
        await self._reading.model()
        await ask_once(self._lander.ready.remote)

    async def _ask(self, path: str, answer: Handler, body: bytes) -> bytes:
        """Answer a question. One that is being answered is joined: a worker may ask again.

        Raises:
            TransientError: `graph_busy`.
        """
        asked = self._asked.get((path, body))
        if asked is None:
            if len(self._asked) >= self._admitted:
                message = f"{self._admitted} shards are being read"
                raise TransientError("graph_busy", message)
            asked = self._asked[path, body] = asyncio.ensure_future(answer(body))
            asked.add_done_callback(lambda _: self._asked.pop((path, body)))
        return await asyncio.shield(asked)

    async def _text(self, body: bytes) -> bytes:
        """Have the text of a shard read."""
        question = text_question_from_json(body)
        async with _deadline("no text"):
            return text_to_json(await self._recognising.read(question.shard, question.revision))

    async def _answer(self, body: bytes) -> bytes:
        """Get the shard and decode its pictures in a thread; the models are asked from here."""
        question = question_from_json(body)
        loop = asyncio.get_running_loop()

        def read(items: Sequence[Item], tasks: Sequence[Task]) -> list[list[Answer]]:
            parts = [ray.put(pack) for pack in packs(items)]
            answers = self._read(parts, tasks, question.revision)
            return asyncio.run_coroutine_threadsafe(answers, loop).result()

        model = await self._known(question.revision)

        def answer() -> bytes:
            shard = shard_of(self._objects, question.shard)
            return answers_to_json(shard_answers(shard, question.tasks, read, model))

        return await loop.run_in_executor(self._threads, answer)

    async def _read(
        self, parts: Sequence[Pack], tasks: Sequence[Task], revision: str
    ) -> list[list[Answer]]:
        reading = [self._reading.read(one, tasks, revision) for one in parts]
        async with _deadline("no answers"):
            read = await asyncio.gather(*reading)
        return [answers for part in read for answers in part]


@asynccontextmanager
async def _deadline(missing: str) -> AsyncIterator[None]:
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


def _running() -> dict[str, int]:
    """Replicas that run, by deployment."""
    found: Counter[str] = Counter()
    for application in serve.status().applications.values():
        for name, deployment in application.deployments.items():
            states = deployment.replica_states.items()
            found[name] += sum(count for state, count in states if state == "RUNNING")
    return dict(found)

"""Ingress: questions about shards, and the lander's requests, over HTTP."""

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from pipeline.land.rows import Answer
from schemas.errors import InputError, TransientError
from schemas.jobs import Task
from schemas.shards import Shard
from services.calls.gate import Gate, Handler
from services.calls.replies import to_json
from services.graph.asking import ask_once
from services.graph.packs import packs
from services.graph.reading import Handle, Pack, Reading, Split, Together
from services.lander.answering import COMMIT, LOOK
from services.model.asking import Picture, shard_answers
from services.model.wire import (
    Question,
    ServedModel,
    answers_to_json,
    model_to_json,
    question_from_json,
)
from services.settings import Settings
from services.storage.places import open_place

_DEADLINE_S: Final = 900.0  # of one shard
_SHARD: Final = re.compile(r"shards/[\w-]+/[\w-]+/[\w-]+/\d+\.arrow")


class Graph:
    """The process that workers talk to."""

    def __init__(
        self,
        stages: Sequence[Handle],
        lander: Handle,
        settings: Settings | None,
        admitted: int,
    ) -> None:
        """Connect.

        Args:
            stages: an encoder and a decoder, or what is both.
            lander: commits to the lake's tables.
            settings: None for what this process's own environment says.
            admitted: shards at a time.
        """
        settings = settings or Settings.from_environment()
        self._objects = open_place(settings.lake, settings).objects
        self._reading: Reading = Split(*stages) if len(stages) > 1 else Together(*stages)
        self._lander, self._admitted = lander, admitted
        self._threads = ThreadPoolExecutor(admitted, "shard")
        self._read_last: ServedModel | None = None
        self._asked: dict[bytes, asyncio.Task[bytes]] = {}
        self._gate = Gate(settings.secret, self._routes(), self._ready)

    async def __call__(self, request: Request) -> Response:
        """Serve one request."""
        return await self._gate(request)

    def _routes(self) -> dict[tuple[str, str], Handler]:
        return {
            ("GET", "/v1/model"): self._model,
            ("GET", "/v1/replicas"): self._replicas,
            ("POST", "/v1/shards"): self._ask,
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

    async def _ask(self, body: bytes) -> bytes:
        """Answer a question. One that is being answered is joined: a worker may ask again.

        Raises:
            TransientError: `graph_busy`.
        """
        asked = self._asked.get(body)
        if asked is None:
            if len(self._asked) >= self._admitted:
                message = f"{self._admitted} shards are being read"
                raise TransientError("graph_busy", message)
            question = question_from_json(body)
            asked = self._asked[body] = asyncio.create_task(self._answer(question))
            asked.add_done_callback(lambda _: self._asked.pop(body))
        return await asyncio.shield(asked)

    async def _answer(self, question: Question) -> bytes:
        """Get the shard and decode its pictures in a thread; the models are asked from here."""
        loop = asyncio.get_running_loop()

        def read(pictures: Sequence[Picture], tasks: Sequence[Task]) -> list[list[Answer]]:
            parts = [ray.put(pack) for pack in packs(pictures)]
            answers = self._read(parts, tasks, question.revision)
            return asyncio.run_coroutine_threadsafe(answers, loop).result()

        model = await self._known(question.revision)

        def answer() -> bytes:
            shard = self._shard(question.shard)
            return answers_to_json(shard_answers(shard, question.tasks, read, model))

        return await loop.run_in_executor(self._threads, answer)

    async def _read(
        self, parts: Sequence[Pack], tasks: Sequence[Task], revision: str
    ) -> list[list[Answer]]:
        reading = [self._reading.read(one, tasks, revision) for one in parts]
        try:
            async with asyncio.timeout(_DEADLINE_S):
                read = await asyncio.gather(*reading)
        except TimeoutError as error:
            message = f"no answers within {_DEADLINE_S:g} s"
            raise TransientError("graph_failed", message) from error
        return [answers for part in read for answers in part]

    def _shard(self, name: str) -> Shard:
        """Get a shard from the lake.

        Raises:
            InputError: `not_found` or `corrupt`.
        """
        data = self._objects.get(name) if _SHARD.fullmatch(name) else None
        if data is None:
            message = f"{name!r}: the lake has no such shard"
            raise InputError("not_found", message)
        try:
            return Shard.from_ipc(data)
        except ValueError as error:
            message = f"{name!r}: cannot be read ({error})"
            raise InputError("corrupt", message) from error


def _running() -> dict[str, int]:
    """Replicas that run, by deployment."""
    found: Counter[str] = Counter()
    for application in serve.status().applications.values():
        for name, deployment in application.deployments.items():
            states = deployment.replica_states.items()
            found[name] += sum(count for state, count in states if state == "RUNNING")
    return dict(found)

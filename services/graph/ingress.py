"""Ingress: questions about shards, and the lander's requests, over HTTP."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Final

import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from pipeline.land.rows import Answer
from schemas.errors import InputError, ReelpageError, TransientError
from schemas.jobs import Task
from schemas.shards import Shard
from services.graph.landing import ROUTES
from services.graph.packs import pieces
from services.graph.reading import Handle, Piece, Reading, Split, Together, ask
from services.model.asking import Picture, shard_answers
from services.model.wire import answers_to_json, question_from_json
from services.settings import Settings
from services.storage.places import open_place

RETRY_AFTER_S: Final = 1
_DEADLINE_S: Final = 900.0  # of one shard
_SHARD: Final = re.compile(r"shards/[\w-]+/[\w-]+/[\w-]+/\d+\.arrow")
_JSON: Final = "application/json"


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
        self._asked: dict[bytes, asyncio.Task[bytes]] = {}

    async def __call__(self, request: Request) -> Response:
        """Serve one request."""
        try:
            match request.method, request.url.path:
                case "GET", "/v1/model":
                    model = await self._reading.model()
                    return Response(json.dumps(asdict(model)), media_type=_JSON)
                case "GET", "/v1/replicas":
                    found = await asyncio.to_thread(_replicas)
                    return Response(json.dumps(found), media_type=_JSON)
                case "POST", "/v1/shards":
                    answers = await self._ask(await request.body())
                    return Response(answers, media_type=_JSON)
                case "POST", path if path in ROUTES:
                    return await self._land(path, await request.body())
            message = f"{request.method} {request.url.path}: nothing is here"
            raise InputError("not_found", message)
        except ReelpageError as error:
            return _refusal(error)

    async def _land(self, path: str, body: bytes) -> Response:
        """Pass a request on; who asked knows what a lost reply means, so it is sent once."""
        try:
            status, reply = await ask(lambda: self._lander.post.remote(path, body), attempts=1)
        except TransientError as error:
            return _refusal(error, failed=503)  # it starts again, and workers ask it then
        return Response(reply, status, media_type=_JSON)

    async def _ask(self, question: bytes) -> bytes:
        """Answer a question. One that is being answered is joined: a worker may ask again.

        Raises:
            TransientError: `graph_busy`.
        """
        asked = self._asked.get(question)
        if asked is None:
            if len(self._asked) >= self._admitted:
                message = f"{self._admitted} shards are being read"
                raise TransientError("graph_busy", message)
            asked = self._asked[question] = asyncio.create_task(self._answer(question))
            asked.add_done_callback(lambda _: self._asked.pop(question))
        return await asyncio.shield(asked)

    async def _answer(self, question: bytes) -> bytes:
        """Get the shard and decode its pictures in a thread; the models are asked from here."""
        name, tasks = question_from_json(question)
        loop = asyncio.get_running_loop()

        def read(pictures: Sequence[Picture], tasks: Sequence[Task]) -> list[list[Answer]]:
            parts = [ray.put(piece) for piece in pieces(pictures)]
            return asyncio.run_coroutine_threadsafe(self._read(parts, tasks), loop).result()

        def answer() -> bytes:
            return answers_to_json(shard_answers(self._shard(name), tasks, read))

        return await loop.run_in_executor(self._threads, answer)

    async def _read(self, parts: Sequence[Piece], tasks: Sequence[Task]) -> list[list[Answer]]:
        try:
            async with asyncio.timeout(_DEADLINE_S):
                read = await asyncio.gather(*(self._reading.read(one, tasks) for one in parts))
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


def _replicas() -> dict[str, int]:
    """Replicas that run, by deployment."""
    found: Counter[str] = Counter()
    for application in serve.status().applications.values():
        for name, deployment in application.deployments.items():
            states = deployment.replica_states.items()
            found[name] += sum(count for state, count in states if state == "RUNNING")
    return dict(found)


def _refusal(error: ReelpageError, failed: int = 500) -> Response:
    body = json.dumps({"code": error.code, "message": error.message})
    if error.code == "graph_busy":
        return Response(body, 503, {"Retry-After": str(RETRY_AFTER_S)}, _JSON)
    return Response(body, 400 if isinstance(error, InputError) else failed, media_type=_JSON)

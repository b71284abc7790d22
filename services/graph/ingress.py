"""Ingress: questions about shards, and the lander's requests, over HTTP."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from schemas.errors import TransientError
from services.calls.gate import Gate, Handler
from services.calls.replies import to_json
from services.graph.answering import Answering
from services.graph.asking import ask_once, deadline
from services.graph.reading import Handle, Reading, Split, Together
from services.graph.recognising import Recognising
from services.graph.replicas import check_revision
from services.lander.answering import COMMIT, LOOK
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


class Graph:
    """The process that workers talk to."""

    def __init__(
        self,
        stages: Sequence[Handle],
        recogniser: Handle,
        lander: Handle | None,
        settings: Settings | None,
        admitted: int,
        *,
        keeps: bool,
    ) -> None:
        """Connect.

        Args:
            stages: an encoder and a decoder, or what is both.
            recogniser: reads text.
            lander: commits to the lake's tables; None where one stands beside the graph.
            settings: None for what this process's own environment says.
            admitted: shards at a time.
            keeps: whether the lake keeps what encoders make of pictures.
        """
        settings = settings or Settings.from_environment()
        objects = open_place(settings.lake, settings).objects
        self._reading: Reading = Split(*stages) if len(stages) > 1 else Together(*stages)
        self._answering = Answering(objects, self._reading, keeps=keeps)
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
            **{("POST", path): partial(self._land, path) for path in self._landing()},
        }

    def _landing(self) -> Sequence[str]:
        return () if self._lander is None else (LOOK, COMMIT)

    async def _model(self, _: bytes) -> bytes:
        return model_to_json(await self._reading.model())

    async def _known(self, revision: str) -> ServedModel:
        """The model of a revision as it was read last, else as it is now.

        Raises:
            TransientError: `model_changed`.
        """
        if self._read_last is None or self._read_last.revision != revision:
            self._read_last = await self._reading.model()
        check_revision(revision, self._read_last)
        return self._read_last

    async def _replicas(self, _: bytes) -> bytes:
        return to_json({"replicas": await asyncio.to_thread(_running)})

    async def _land(self, path: str, body: bytes) -> bytes:
        """Pass a request on; who asked knows what a lost reply means, so it is sent once."""
        assert self._lander is not None
        asked = partial(self._lander.answer.remote, path, body)
        reply: bytes = await ask_once(asked)
        return reply

    async def _ready(self) -> None:
        """Raise a ReelpageError while the model or the lake cannot be reached."""
        await self._reading.model()
        if self._lander is not None:
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
        async with deadline("no text"):
            return text_to_json(await self._recognising.read(question.shard, question.revision))

    async def _answer(self, body: bytes) -> bytes:
        """Read the shard in a thread, from which the models are asked in this loop."""
        question = question_from_json(body)
        loop, model = asyncio.get_running_loop(), await self._known(question.revision)

        def answer() -> bytes:
            return answers_to_json(self._answering.answers(question, model, loop))

        return await loop.run_in_executor(self._threads, answer)


def _running() -> dict[str, int]:
    """Replicas that run, by deployment."""
    found: Counter[str] = Counter()
    for application in serve.status().applications.values():
        for name, deployment in application.deployments.items():
            states = deployment.replica_states.items()
            found[name] += sum(count for state, count in states if state == "RUNNING")
    return dict(found)

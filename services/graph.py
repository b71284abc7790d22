"""Graph: the model as a Ray Serve application, its stages scaled each on its own.

    POST /v1/shards ─► Graph ─► Encoder ─► Decoder
                       reads the shard from the lake, decodes its pictures, asks for answers

Pictures and features travel by reference through Ray's object store, inside a list (a bare
reference would be resolved on the way), and are let go of with the question that needed them.
"""

import asyncio
import json
import random
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import ray
from ray import ObjectRef, serve
from ray.exceptions import ObjectLostError, RayError, RayTaskError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle
from starlette.requests import Request
from starlette.responses import Response

from pipeline.rows import Answer
from schemas.errors import InputError, ReelpageError, SetupError, TransientError
from schemas.features import Features
from schemas.jobs import Task
from schemas.shards import Shard
from services import cluster
from services.asking import Picture, shard_answers
from services.batches import Batches
from services.graph_options import GraphOptions, StageOptions
from services.places import open_place
from services.ports import HOST
from services.scaling import SIGNAL, TokensWaiting
from services.settings import Settings
from services.wire import ServedModel, answers_to_json, question_from_json

T = TypeVar("T")
Tasks = Sequence[Task]

APPLICATION: Final = "reelpage"
_JSON: Final = "application/json"
_SHARD: Final = re.compile(r"shards/[\w-]+/[\w-]+/[\w-]+/\d+\.arrow")
_BODY_BYTES: Final = 1 << 20
_RETRY_AFTER_S: Final = 1
_DEADLINE_S: Final = 900.0  # of one shard
_FETCH_S: Final = 60.0
_ATTEMPTS: Final = 4
_PAUSE_S: Final = 0.5
_QUEUE: Final = 256  # questions in one replica; tokens are counted there


class FeaturesLostError(Exception):
    """The replica that held the features is gone; the pictures must be encoded again."""


class _Replica:
    """What Serve asks of a replica with a queue before its model."""

    _queue: Batches[Any, Any]

    def __init__(self, directory: str, threads: int) -> None:
        from services.reader import model_facts

        facts = model_facts(Path(directory))
        self._facts = ServedModel(facts.name, facts.revision, facts.min_pixels, facts.max_pixels)
        if threads:
            import torch

            torch.set_num_threads(threads)

    def model(self) -> ServedModel:
        """What is served."""
        return self._facts

    def record_autoscaling_stats(self) -> dict[str, float]:
        """The signal that the stage is scaled by."""
        return {SIGNAL: self._queue.waiting}

    def check_health(self) -> None:
        """Raise if the replica should be replaced."""
        self._queue.check()


class Encoder(_Replica):
    """A replica of the vision half."""

    def __init__(self, directory: str, device: str, threads: int) -> None:
        from services.stages import EncodeStage

        super().__init__(directory, threads)
        self._stage = EncodeStage(Path(directory), device)
        self._queue = self._stage.queue

    async def encode(self, pictures: "Sequence[ObjectRef[list[Picture]]]") -> list[Any]:
        """Features of pictures, as a reference in a list."""
        features = await self._stage.encode(await pictures[0])
        return [await asyncio.to_thread(_pack, features)]


class Decoder(_Replica):
    """A replica of the language half."""

    def __init__(self, directory: str, device: str, threads: int) -> None:
        from services.stages import DecodeStage

        super().__init__(directory, threads)
        self._stage = DecodeStage(Path(directory), device)
        self._queue = self._stage.queue

    async def answer(
        self, features: "Sequence[ObjectRef[list[bytes]]]", tasks: Tasks
    ) -> list[list[Answer]]:
        """Answers to all tasks, for each picture.

        Raises:
            FeaturesLostError: they cannot be had any more.
        """
        try:
            packed = await asyncio.wait_for(features[0], _FETCH_S)
        except (ObjectLostError, TimeoutError) as error:
            raise FeaturesLostError from error
        return await self._stage.answer([Features.from_ipc(one) for one in packed], tasks)


class Reader(_Replica):
    """A replica of both halves."""

    def __init__(self, directory: str, device: str, threads: int) -> None:
        from services.stages import ReadStage

        super().__init__(directory, threads)
        self._stage = ReadStage(Path(directory), device)
        self._queue = self._stage.queue

    async def read(
        self, pictures: "Sequence[ObjectRef[list[Picture]]]", tasks: Tasks
    ) -> list[list[Answer]]:
        """Answers to all tasks, for each picture."""
        return await self._stage.read(await pictures[0], tasks)


class Reading(Protocol):
    """How the ingress has pictures read."""

    async def read(self, pictures: "ObjectRef[list[Picture]]", tasks: Tasks) -> list[list[Answer]]:
        """Answers to all tasks, for each picture."""

    async def model(self) -> ServedModel:
        """What reads."""


class Split:
    """By an encoder and a decoder."""

    def __init__(self, encoder: DeploymentHandle[Any], decoder: DeploymentHandle[Any]) -> None:
        self._encoder, self._decoder = encoder, decoder

    async def read(self, pictures: "ObjectRef[list[Picture]]", tasks: Tasks) -> list[list[Answer]]:
        """Encode once; again only if the features are lost."""
        features: list[Any] = []

        async def once() -> list[list[Answer]]:
            if not features:
                features.extend(await self._encoder.encode.remote([pictures]))
            try:
                answers: list[list[Answer]] = await self._decoder.answer.remote(features, tasks)
            except FeaturesLostError:
                features.clear()
                raise
            return answers

        try:
            return await _persist(once)
        finally:
            features.clear()

    async def model(self) -> ServedModel:
        """What reads."""
        return await _persist(self._decoder.model.remote)


class Together:
    """By replicas that have both halves."""

    def __init__(self, reader: DeploymentHandle[Any]) -> None:
        self._reader = reader

    async def read(self, pictures: "ObjectRef[list[Picture]]", tasks: Tasks) -> list[list[Answer]]:
        """Answers to all tasks, for each picture."""
        return await _persist(lambda: self._reader.read.remote([pictures], tasks))

    async def model(self) -> ServedModel:
        """What reads."""
        return await _persist(self._reader.model.remote)


class Graph:
    """The ingress: shards in, answers out."""

    def __init__(
        self, stages: Sequence[DeploymentHandle[Any]], settings: Settings | None, admitted: int
    ) -> None:
        settings = settings or Settings.from_environment()
        self._objects = open_place(settings.lake, settings).objects
        self._reading: Reading = Split(*stages) if len(stages) > 1 else Together(*stages)
        self._admitted = admitted
        self._threads = ThreadPoolExecutor(admitted, "shard")
        self._asked: dict[bytes, asyncio.Task[bytes]] = {}

    async def __call__(self, request: Request) -> Response:
        """Serve one request."""
        try:
            match request.method, request.url.path:
                case "GET", "/v1/model":
                    model = await self._reading.model()
                    return Response(json.dumps(asdict(model)), media_type=_JSON)
                case "POST", "/v1/shards":
                    answers = await self._ask(await request.body())
                    return Response(answers, media_type=_JSON)
        except ReelpageError as error:
            return _refusal(error)
        return _refusal(InputError("not_found", f"no {request.method} {request.url.path} here"))

    async def _ask(self, body: bytes) -> bytes:
        """Answer a question; one that is being answered already is joined.

        Raises:
            TransientError: `graph_busy`.
        """
        asked = self._asked.get(body)
        if asked is None:
            if len(self._asked) >= self._admitted:
                message = f"{self._admitted} shards are being read; come again"
                raise TransientError("graph_busy", message)
            asked = self._asked[body] = asyncio.create_task(self._answer(body))
            asked.add_done_callback(lambda _: self._asked.pop(body))
        return await asyncio.shield(asked)

    async def _answer(self, body: bytes) -> bytes:
        name, tasks = question_from_json(body)
        loop = asyncio.get_running_loop()

        def read(pictures: Sequence[Picture], tasks: Tasks) -> list[list[Answer]]:
            work = self._read(_put_pieces(pictures), tasks)
            return asyncio.run_coroutine_threadsafe(work, loop).result()

        def answer() -> bytes:
            return answers_to_json(shard_answers(self._shard(name), tasks, read))

        return await loop.run_in_executor(self._threads, answer)

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

    async def _read(
        self, pieces: "Sequence[ObjectRef[list[Picture]]]", tasks: Tasks
    ) -> list[list[Answer]]:
        try:
            async with asyncio.timeout(_DEADLINE_S):
                read = await asyncio.gather(*(self._reading.read(one, tasks) for one in pieces))
        except TimeoutError as error:
            message = f"no answers within {_DEADLINE_S:g} s"
            raise TransientError("graph_failed", message) from error
        return [answers for piece in read for answers in piece]


def _put_pieces(pictures: Sequence[Picture]) -> "list[ObjectRef[list[Picture]]]":
    from services.stages import pieces

    return [ray.put(piece) for piece in pieces(pictures)]


def _pack(features: Sequence[Features]) -> "ObjectRef[list[bytes]]":
    return ray.put([one.to_ipc() for one in features])


async def _persist(once: Callable[[], Awaitable[T]]) -> T:
    """Ask again where a replica died.

    Raises:
        ReelpageError: what the replica raised; `graph_failed`, when all attempts failed.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return await once()
        except FeaturesLostError as error:
            lost: Exception = error
        except RayTaskError as error:
            if isinstance(error.cause, ReelpageError):
                raise error.cause from None
            message = f"the model failed: {error.cause!r}"
            raise TransientError("graph_failed", message) from error
        except (RayError, RayServeException) as error:
            lost = error
        await asyncio.sleep(_PAUSE_S * 2**attempt * (0.5 + random.random()))
    message = f"a part of the graph died {_ATTEMPTS} times: {lost!r}"
    raise TransientError("graph_failed", message)


def _refusal(error: ReelpageError) -> Response:
    body = json.dumps({"code": error.code, "message": error.message})
    if error.code == "graph_busy":
        wait = {"Retry-After": str(_RETRY_AFTER_S)}
        return Response(body, 503, wait, _JSON)
    return Response(body, 400 if isinstance(error, InputError) else 500, media_type=_JSON)


def application(options: GraphOptions, settings: Settings | None) -> serve.Application:
    """The deployments, bound to each other.

    Args:
        options: replicas and resources.
        settings: None for what each replica's environment says.
    """
    model = (settings or Settings.from_environment()).model_directory(None)
    threads = settings.threads if settings else 0
    kinds: list[tuple[type[_Replica], StageOptions, int]] = (
        [(Reader, options.decoder, 32768)]
        if options.colocate
        else [(Encoder, options.encoder, 16384), (Decoder, options.decoder, 32768)]
    )
    stages = [
        serve.deployment(**_stage_options(kind.__name__, stage, share, options.grace_s))(kind).bind(
            str(model), "cuda" if stage.gpus else "cpu", threads
        )
        for kind, stage, share in kinds
    ]
    ingress = cluster.deployment_options(
        name="Graph",
        num_replicas=options.ingresses,
        max_ongoing_requests=4 * options.admitted + 64,
        max_queued_requests=4 * options.admitted,
        backpressure_config={"status_code": 503, "retry_after_s": _RETRY_AFTER_S},
        graceful_shutdown_timeout_s=options.grace_s,
        ray_actor_options={"num_cpus": 0},
    )
    return serve.deployment(**ingress)(Graph).bind(stages, settings, options.admitted)


def _stage_options(name: str, stage: StageOptions, share: int, grace_s: float) -> dict[str, Any]:
    scaling: dict[str, Any] = {"num_replicas": stage.min_replicas}
    if stage.max_replicas > stage.min_replicas:
        scaling = {
            "autoscaling_config": {
                "min_replicas": stage.min_replicas,
                "max_replicas": stage.max_replicas,
                "policy": {
                    "policy_function": f"{TokensWaiting.__module__}:{TokensWaiting.__name__}",
                    "policy_kwargs": {"tokens_per_replica": share},
                },
            }
        }
    return cluster.deployment_options(
        name=name,
        max_ongoing_requests=_QUEUE,
        graceful_shutdown_timeout_s=grace_s,
        max_constructor_retry_count=2,
        ray_actor_options={"num_cpus": stage.cpus, "num_gpus": stage.gpus},
        **scaling,
    )


def build(args: Mapping[str, Any]) -> serve.Application:
    """The application for a Serve config file: `import_path: services.graph:build`.

    Raises:
        SetupError: `usage`.
    """
    return application(GraphOptions.from_mapping(args), None)


def deploy(options: GraphOptions, settings: Settings, port: int, address: str = "") -> str:
    """Start the graph, with Ray where none is joined, and wait until it answers.

    Returns:
        Its URL. It runs until `cluster.stop`, or the end of this process.

    Raises:
        SetupError: `graph_not_started`.
    """
    cpus = sum(stage.cpus * stage.max_replicas for stage in options.stages)
    gpus = sum(stage.gpus * stage.min_replicas for stage in options.stages)
    graph = application(options, settings)
    cluster.start(port, cpus=cpus, gpus=gpus, address=address)
    try:
        serve.run(graph, name=APPLICATION, route_prefix="/")
    except RuntimeError as error:
        cluster.stop()
        raise SetupError("graph_not_started", str(error)) from error
    return f"http://{HOST}:{port}"

"""`python -m tests.soak.graph --port N`: a graph with a stub for the model.

The lander in it is the product's; `--control uri` breaks it.
"""

import argparse
import logging
import random
import time
from collections.abc import Sequence
from dataclasses import asdict

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from pipeline.land import commit
from pipeline.land.commit import GroupCommitter, Tables
from pipeline.land.group import Intent
from pipeline.land.place import Objects
from pipeline.land.tables import open_table
from schemas.errors import InputError, ReelpageError
from schemas.shards import Shard
from schemas.tables import TABLES
from services.ingest.build import open_lake
from services.ingest.patience import patiently
from services.lander.http import lander_app
from services.model.asking import shard_answers
from services.model.wire import answers_to_json, question_from_json
from services.settings import Settings
from tests.soak.stub import MODEL, Stub


class ByAddress(GroupCommitter):
    """Negative control: the same check, but each write opens the table again by its address."""

    def __init__(self, place: commit.Place, delay_s: float = 0.1) -> None:
        super().__init__(place, delay_s)
        self._tables = {name: _ByAddress(place, name) for name in TABLES}


class _ByAddress(commit._Table):
    def _write(self, intents: Sequence[Intent]) -> bool:
        time.sleep(random.uniform(0, 0.5))  # whoever checks may be paused before he writes
        self._handle = open_table(self.place, self.name)
        return super()._write(intents)


def graph_app(objects: Objects, tables: Tables, stub: Stub) -> Starlette:
    """What workers ask: about the model, about shards, and for commits."""

    async def model(_: Request) -> Response:
        return JSONResponse(asdict(MODEL))

    async def shards(request: Request) -> Response:
        return await run_in_threadpool(_answer, objects, stub, await request.body())

    return Starlette(
        routes=[
            Route("/v1/model", model),
            Route("/v1/shards", shards, methods=["POST"]),
            Mount("/", lander_app(tables)),
        ]
    )


def _answer(objects: Objects, stub: Stub, question: bytes) -> Response:
    try:
        name, tasks = question_from_json(question)
        data = objects.get(name)
        if data is None:
            message = f"{name!r}: the lake has no such shard"
            raise InputError("not_found", message)
        answers = shard_answers(Shard.from_ipc(data), tasks, stub.read)
    except ReelpageError as error:
        status = 400 if isinstance(error, InputError) else 503
        return JSONResponse({"code": error.code, "message": error.message}, status)
    return Response(answers_to_json(answers), media_type="application/json")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--service", type=float, default=0.02, help="seconds for a shard's answers")
    parser.add_argument("--control", choices=["uri"])
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    settings = Settings.from_environment()
    place = patiently(lambda: open_lake(settings))
    tables = (ByAddress if args.control else GroupCommitter)(place)
    app = graph_app(place.objects, tables, Stub(args.service))
    uvicorn.run(app, port=args.port, log_level="warning")


if __name__ == "__main__":
    main()

"""`python -m tests.soak.graph --port N`: a graph with a stub for the model.

The lander in it is the product's; `--control uri` breaks it.
"""

import argparse
import logging
import random
import time
from collections.abc import Sequence
from functools import partial

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.routing import Route

from pipeline.land import commit
from pipeline.land.commit import GroupCommitter, Tables
from pipeline.land.group import Intent
from pipeline.land.place import Objects
from pipeline.land.tables import open_table
from schemas.errors import InputError
from schemas.shards import Shard
from schemas.tables import TABLES
from services.calls.gate import Gate, Handler
from services.ingest.build import open_lake
from services.ingest.patience import patiently
from services.lander.answering import COMMIT, LOOK
from services.lander.desk import Desk
from services.model.asking import shard_answers
from services.model.wire import answers_to_json, model_to_json, question_from_json
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


def graph_app(objects: Objects, tables: Tables, stub: Stub, secret: str) -> Starlette:
    """What workers ask: about the model, about shards, and for commits."""
    desk = Desk(tables)

    async def model(_: bytes) -> bytes:
        return model_to_json(MODEL)

    async def shards(question: bytes) -> bytes:
        return await run_in_threadpool(_answer, objects, stub, question)

    routes: dict[tuple[str, str], Handler] = {
        ("GET", "/v1/model"): model,
        ("POST", "/v1/shards"): shards,
        **{("POST", path): partial(desk.answer, path) for path in (LOOK, COMMIT)},
    }
    gate = Gate(secret, routes, desk.ready)
    return Starlette(routes=[Route("/{path:path}", gate.__call__, methods=["GET", "POST"])])


def _answer(objects: Objects, stub: Stub, body: bytes) -> bytes:
    question = question_from_json(body)
    data = objects.get(question.shard)
    if data is None:
        message = f"{question.shard!r}: the lake has no such shard"
        raise InputError("not_found", message)
    return answers_to_json(shard_answers(Shard.from_ipc(data), question.tasks, stub.read))


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
    app = graph_app(place.objects, tables, Stub(args.service), settings.secret)
    uvicorn.run(app, port=args.port, log_level="warning")


if __name__ == "__main__":
    main()

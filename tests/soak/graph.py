"""`python -m tests.soak.graph --port N`: a graph with a stub for the model.

The lander in it is the product's; `--control` makes it slow, and `naive` breaks it.
"""

import argparse
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from uuid import uuid4

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.routing import Route

from benchmarks.asking import shard_answers
from pipeline.land import commit
from pipeline.land.commit import GroupCommitter, Tables
from pipeline.land.group import Intent
from pipeline.land.parquet import DataFile
from pipeline.land.place import Objects
from pipeline.land.tables import open_table
from schemas.errors import InputError
from schemas.shards import Shard
from schemas.tables import TABLES
from services.calls.gate import Gate, Handler
from services.lander.answering import COMMIT, LOOK
from services.lander.desk import Desk
from services.model.wire import answers_to_json, model_to_json, question_from_json
from services.patience import patiently
from services.settings import Settings
from services.storage.lakes import open_lake
from tests.soak.stub import MODEL, Stub

WRITES = "is about to write"
"""In the log: the table and the application ids whose rows come next."""


class Slow(GroupCommitter):
    """The product's, but it says what it is about to write, and takes its time."""

    def __init__(self, place: commit.Place, *, naive: bool) -> None:
        """Negative control, naive: writes as who calls `write_deltalake`."""
        super().__init__(place)
        kind = _Naive if naive else _Slow
        self._tables = {name: kind(place, name) for name in TABLES}


class _Slow(commit._Table):
    def _write(self, intents: Sequence[Intent]) -> bool:
        apps = {app for one in intents if one.rows is not None for app in one.positions}
        if apps:
            logging.info("%s %s %s", WRITES, self.name, " ".join(sorted(apps)))
            time.sleep(1)
        return self._append(intents)

    def _append(self, intents: Sequence[Intent]) -> bool:
        return super()._write(intents)


class _Naive(_Slow):
    """Opens the table again, behind the check, and gives each file a name at random.

    Either defence alone saves most rows: a table holds a file of one name only once.
    """

    def _append(self, intents: Sequence[Intent]) -> bool:
        self._handle = open_table(self.place, self.name)
        return super()._append(intents)

    def _files(self, intents: Sequence[Intent]) -> list[DataFile]:
        return [self._renamed(file) for file in super()._files(intents)]

    def _renamed(self, file: DataFile) -> DataFile:
        data = self.place.objects.get(f"{self.name}/{file.path}")
        assert data is not None
        renamed = replace(file, path=f"part-{uuid4().hex}.parquet")
        self.place.objects.put(f"{self.name}/{renamed.path}", data)
        return renamed


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
    return answers_to_json(shard_answers(Shard.from_ipc(data), question.tasks, stub.read, MODEL))


def _tables(place: commit.Place, control: str | None) -> Tables:
    if control is None:
        return GroupCommitter(place)
    return Slow(place, naive=control == "naive")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--service", type=float, default=0.02, help="seconds for a shard's answers")
    parser.add_argument("--control", choices=["sound", "naive"])
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    settings = Settings.from_environment()
    place = patiently(lambda: open_lake(settings))
    tables = _tables(place, args.control)
    app = graph_app(place.objects, tables, Stub(args.service), settings.secret)
    uvicorn.run(app, port=args.port, log_level="warning")


if __name__ == "__main__":
    main()

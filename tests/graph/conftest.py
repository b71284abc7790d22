"""A lake of the samples' shards, what the local reader says about them, and a graph that serves."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from benchmarks.asking import Read, shard_answers
from pipeline.decode import DecodePlan, decode
from pipeline.land.rows import Answer
from pipeline.land.store import Folder, ShardStore
from schemas.jobs import PICTURE, SEGMENT, Task, prompts_of
from schemas.shards import Shard
from services.checkpoints.found import checkpoint
from services.ingest.recipe import STANDARD_TASKS, parse_sampling
from services.model.client import GraphClient
from services.model.facts import ModelFacts, model_facts
from services.model.reader import Model, set_threads
from services.model.wire import ServedModel
from services.settings import Settings
from services.stack.ports import Ports
from tests.bitmaps import CLEAR, film, shown
from tests.conftest import SAMPLES, environment

SECRET = "the-secret-of-the-graph"
_ASKED = prompts_of(STANDARD_TASKS.values())
TASKS = tuple(task for task in _ASKED if task.unit == PICTURE)
OF_SEGMENTS = tuple(task for task in _ASKED if task.unit == SEGMENT)


def compared(answers: Sequence[Sequence[Answer]]) -> list[list[Answer]]:
    """Answers as they land: without the time, and with the digits that batches do not change."""
    return [
        [
            replace(
                one, latency_us=0, logprob=None if one.logprob is None else round(one.logprob, 3)
            )
            for one in row
        ]
        for row in answers
    ]


@dataclass(frozen=True)
class Lake:
    """Shards in a folder, by name."""

    folder: Path
    facts: ModelFacts
    shards: dict[str, Shard]
    model: Model

    def expected(self, name: str, tasks: Sequence[Task] = TASKS) -> list[list[Answer]]:
        return compared(self.ask(name, tasks, self.model.read))

    def ask(self, name: str, tasks: Sequence[Task], read: Read) -> list[list[Answer]]:
        facts = self.facts
        served = ServedModel(facts.name, facts.revision, facts.min_pixels, facts.max_pixels)
        return shard_answers(self.shards[name], tasks, read, served)


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    facts = model_facts(checkpoint(Settings()).folder)
    plan = DecodePlan(parse_sampling("1fps"), subtitle_pictures=True)
    folder = tmp_path_factory.mktemp("lake")
    cues = [(0.5, shown("Mind the gap")), (1.5, CLEAR)]
    film(folder / "film.mkv", cues, seconds=2)
    set_threads(1)
    shards = {}
    scenes, *others = (SAMPLES / name for name in ("scenes.mkv", "report.pdf", "phone.png"))
    for number, path in enumerate((scenes, folder / "film.mkv", *others)):
        store = ShardStore(Folder(folder), f"{number:064x}", "0123456789ab")
        for item in decode(path, plan):
            if isinstance(item, Shard):
                shards[store.name(store.keep(item).part)] = item
    return Lake(folder, facts, shards, Model(facts, "cpu"))


@dataclass(frozen=True)
class Graph:
    """A graph in processes of its own, started where another `schemas` lies."""

    url: str
    client: GraphClient
    lake: Lake
    pid: int
    watch: str


@pytest.fixture(scope="session")
def graph(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    with serving(lake, tmp_path_factory.mktemp("place")) as one:
        yield one


@contextmanager
def serving(lake: Lake, place: Path, *options: str) -> Iterator[Graph]:
    """A graph with options, started in an empty folder."""
    (place / "schemas").mkdir()
    (place / "schemas" / "__init__.py").write_text("raise ImportError('the wrong schemas')\n")
    ports = Ports()
    port, watch = ports.choose(2)
    url = f"http://127.0.0.1:{port}"
    ports.close()
    command = [sys.executable, "-P", "-m", "reelpage", "serve", "--port", str(port), *options]
    settings = environment(
        REELPAGE_LAKE=str(lake.folder),
        REELPAGE_SECRET=SECRET,
        REELPAGE_WATCH=f"127.0.0.1:{watch}",
        OMP_NUM_THREADS="1",
        RAY_AUTH_MODE="disabled",  # as it may stand in the environment of a user
    )
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=place, env=settings, stdout=log, stderr=log)
    try:
        wait_for(process, url, place / "log")
        client = GraphClient(url, SECRET, deadline_s=600)
        yield Graph(url, client, lake, process.pid, f"http://127.0.0.1:{watch}")
    finally:
        process.terminate()
        process.wait(60)


def wait_for(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    give_up = time.monotonic() + 240
    while "the graph answers" not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < give_up, log.read_text()
        time.sleep(0.2)

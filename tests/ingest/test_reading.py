"""A medium is let go when all of it has been read, before its last part is asked about."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest

from benchmarks.stub_worker import Stub
from pipeline.consume import Input
from pipeline.decode import DecodePlan, Fill, decode
from pipeline.land.batch import Part
from pipeline.land.rows import Answer
from pipeline.land.store import local_place
from schemas.errors import InputError
from schemas.jobs import Job, MediaReference, Task
from schemas.shards import Decoded, Shard
from services.ingest.claims import claim
from services.ingest.sources import Sources
from services.ingest.subject import Decode, Delivery, Tools
from services.ingest.work import Work
from services.settings import Settings
from tests.composed import TEXT_HERE
from tests.videos import video

SECONDS = 25  # three segments
TASK = Task("caption", "What is it?", 8)


class Telling(Stub):
    """Says when it is asked."""

    def __init__(self, told: list[str]) -> None:
        super().__init__(0)
        self._told = told

    def answers(
        self, name: str, shard: Shard, tasks: Sequence[Task], revision: str
    ) -> list[list[Answer]]:
        self._told.append(f"ask {shard.part}")
        return super().answers(name, shard, tasks, revision)


class Telltale(Sources):
    """Says when a medium is no longer needed."""

    def __init__(self, settings: Settings, told: list[str]) -> None:
        super().__init__(settings)
        self._told = told

    @contextmanager
    def open(self, job: Job, known_as: str = "") -> Iterator[Input]:
        with super().open(job) as source:
            try:
                yield source
            finally:
                self._told.append("closed")


def broken(path: Path, plan: DecodePlan, *, fill: Fill | None = None) -> Iterator[Decoded]:
    """Ends with an error behind the second segment."""
    with closing(decode(path, plan, fill=fill)) as items:
        for item in items:
            if isinstance(item, Shard) and item.part == 2:
                raise InputError("corrupt", "broken there")
            yield item


@contextmanager
def working(path: Path, told: list[str], read: Decode = decode) -> Iterator[Iterator[Part]]:
    objects = local_place(path.parent / "lake").objects
    tools = Tools(objects, lambda _: {}, Telling(told), read, TEXT_HERE, partial(claim, objects))
    job = Job("j", MediaReference(str(path)), (TASK,))
    sources = Telltale(Settings(roots=(path.parent,)), told)
    with sources.open(job) as source:
        delivery = Delivery(job, "t", 0, 0, source.input_id, "run")
    told.clear()
    with closing(Work(delivery, sources, tools, lambda: told.append("read")).parts()) as parts:
        yield (part for part in parts if isinstance(part, Part))


def test_it_is_closed_before_the_last_question(tmp_path: Path) -> None:
    told: list[str] = []
    with working(video(tmp_path / "a.mp4", SECONDS), told) as parts:
        assert [part.outcome for part in parts] == ["", "", "indexed"]
    assert told == ["ask 0", "ask 1", "closed", "read", "ask 2"]


def test_what_breaks_loses_nothing_before_it(tmp_path: Path) -> None:
    told: list[str] = []
    with working(video(tmp_path / "a.mp4", SECONDS), told, broken) as parts:
        first, second, last = parts
    assert told == ["ask 0", "closed", "read", "ask 1"]
    assert first.rows["answers"]
    assert second.rows["answers"]
    assert (last.outcome, last.rows["failures"][0]["code"]) == ("failed", "corrupt")


@pytest.mark.parametrize("taken", [1, 2, 3])
def test_one_that_is_left_lets_go_once(tmp_path: Path, taken: int) -> None:
    """As when its job is put back."""
    told: list[str] = []
    with working(video(tmp_path / "a.mp4", SECONDS), told) as parts:
        for _ in range(taken):
            next(parts)
    assert (told.count("closed"), told.count("read")) == (1, 1)

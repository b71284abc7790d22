"""A medium is read ahead of what is asked about it, and let go when all of it has been read."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest

from benchmarks.stub_worker import Stub
from pipeline.consume import Input
from pipeline.decode import DecodePlan, Fill, decode
from pipeline.land.batch import Part
from pipeline.land.rows import Answer
from pipeline.land.store import local_place
from schemas.errors import InputError, ReelpageError, TransientError
from schemas.jobs import Job, MediaReference, Task
from schemas.shards import Decoded, Shard
from services.ingest.begin import InThreads, Room
from services.ingest.claims import claim
from services.ingest.sources import Sources
from services.ingest.subject import Answerer, Decode, Delivery, Tools
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


def broken(error: ReelpageError) -> Decode:
    """Reading that ends with an error behind the second segment."""

    def read(path: Path, plan: DecodePlan, *, fill: Fill | None = None) -> Iterator[Decoded]:
        with closing(decode(path, plan, fill=fill)) as items:
            for item in items:
                if isinstance(item, Shard) and item.part == 2:
                    raise error
                yield item

    return read


class Meeting(Stub):
    """Answers once so many questions are asked at the same time; about one part it cannot."""

    def __init__(self, count: int, refused: int = -1, delay_s: float = 0) -> None:
        super().__init__(delay_s)
        self._met, self._refused = threading.Barrier(count, timeout=60), refused
        self.inside: set[int] = set()
        self.most = 0

    def answers(
        self, name: str, shard: Shard, tasks: Sequence[Task], revision: str
    ) -> list[list[Answer]]:
        self.inside.add(shard.part)
        self.most = max(self.most, len(self.inside))
        self._met.wait()
        if shard.part == self._refused:
            raise InputError("model_failed", "not this one")
        answers = super().answers(name, shard, tasks, revision)
        self.inside.remove(shard.part)
        return answers


def large(path: Path, plan: DecodePlan, *, fill: Fill | None = None) -> Iterator[Decoded]:
    """Every segment has 20 MiB of pictures."""
    with closing(decode(path, plan, fill=fill)) as items:
        for item in items:
            if isinstance(item, Shard):
                rows = item.rows.to_pylist()
                rows[0]["image"] += bytes(20 << 20)
                item = replace(item, rows=pa.RecordBatch.from_pylist(rows, item.rows.schema))
            yield item


@contextmanager
def working(
    path: Path,
    told: list[str],
    read: Decode = decode,
    answerer: Answerer | None = None,
    ahead: int = 1,
) -> Iterator[Iterator[Part]]:
    objects = local_place(path.parent / "lake").objects
    asked = answerer or Telling(told)
    tools = Tools(objects, lambda _: {}, asked, read, TEXT_HERE, partial(claim, objects))
    if answerer is not None:
        tools = replace(tools, begin=InThreads(8), room=Room(ahead, 32 << 20))
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
    with working(
        video(tmp_path / "a.mp4", SECONDS), told, broken(InputError("corrupt", "broken there"))
    ) as parts:
        first, second, last = parts
    assert told == ["ask 0", "closed", "read", "ask 1"]
    assert first.rows["answers"]
    assert second.rows["answers"]
    assert (last.outcome, last.rows["failures"][0]["code"]) == ("failed", "corrupt")


def test_what_cannot_be_read_now_loses_nothing_before_it(tmp_path: Path) -> None:
    """Two parts are being asked about; the first is given, the second waits for a third to come."""
    away = broken(TransientError("store_failed", "not now"))
    path = video(tmp_path / "a.mp4", SECONDS)
    with working(path, [], away, Meeting(2), ahead=3) as parts:
        assert next(parts).rows["answers"]
        with pytest.raises(TransientError):
            next(parts)


@pytest.mark.parametrize("taken", [1, 2, 3])
def test_one_that_is_left_lets_go_once(tmp_path: Path, taken: int) -> None:
    """As when its job is put back."""
    told: list[str] = []
    with working(video(tmp_path / "a.mp4", SECONDS), told) as parts:
        for _ in range(taken):
            next(parts)
    assert (told.count("closed"), told.count("read")) == (1, 1)


def test_several_parts_are_asked_about_at_a_time(tmp_path: Path) -> None:
    """Else nobody would answer."""
    with working(video(tmp_path / "a.mp4", SECONDS), [], answerer=Meeting(3), ahead=3) as parts:
        made = list(parts)
    assert [part.outcome for part in made] == ["", "", "indexed"]
    assert [{row["unit_no"] // 10 for row in part.rows["answers"]} for part in made] == [
        {0},
        {1},
        {2},
    ]


def test_what_cannot_be_answered_loses_nothing_before_it(tmp_path: Path) -> None:
    """The part behind it has its answers by then, and does not land."""
    path, answerer = video(tmp_path / "a.mp4", SECONDS), Meeting(3, refused=1)
    with working(path, [], answerer=answerer, ahead=3) as parts:
        first, last = parts
    assert first.rows["answers"]
    row = last.rows["failures"][0]
    assert (last.outcome, row["code"], row["stage"]) == ("failed", "model_failed", "generate")


def test_what_is_left_is_not_asked_behind_it(tmp_path: Path) -> None:
    """Nor does a question go on in a thread of which nobody knows."""
    path, answerer = video(tmp_path / "a.mp4", SECONDS), Meeting(3)
    with working(path, [], answerer=answerer, ahead=3) as parts:
        next(parts)
    assert not answerer.inside
    assert not [one for one in threading.enumerate() if one.name == "asked"]


def test_no_more_than_some_bytes_are_asked_about_at_a_time(tmp_path: Path) -> None:
    """Two segments are enough of them."""
    path, answerer = video(tmp_path / "a.mp4", 40), Meeting(2, delay_s=0.3)
    with working(path, [], large, answerer, ahead=8) as parts:
        assert [part.outcome for part in parts] == ["", "", "", "indexed"]
    assert answerer.most == 2

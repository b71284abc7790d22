"""Markers never go back and none is lost, however workers come in between each other."""

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from random import Random
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.land.commit import GroupCommitter
from pipeline.land.perform import Performer
from pipeline.land.place import Objects, Place
from pipeline.land.protocol import STRUCTURE, Advance, Batch, Marker, Markers, advanced
from pipeline.land.records import markers_of
from pipeline.land.rows import to_table
from pipeline.land.tables import check_version
from pipeline.query.sql import query
from services.settings import Settings
from services.stack.servers import S3Server
from services.storage.places import open_place
from tests.fault_proxy import FaultProxy
from tests.land.advance_markers import advance
from tests.land.conftest import Child, begin, wait_ready
from tests.tables import PROTOCOL

NAME: Final = "markers/m/0123456789ab/whole.json"
MARKERS: Final = st.builds(
    Marker,
    st.just(NAME),
    st.sampled_from([STRUCTURE, "r-p"]),
    st.sampled_from(["partial", "indexed", "failed"]),
    st.integers(0, 3),
    attempt=st.integers(0, 2),
)
WORKERS: Final = st.lists(
    st.lists(st.lists(MARKERS, min_size=1, max_size=2).map(tuple), max_size=3),
    min_size=2,
    max_size=3,
)
FIXED: Final = [HealthCheck.function_scoped_fixture]  # each example has an object of its own


@pytest.fixture(params=["folder", "bucket"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return str(tmp_path / "a lake, é")
    bucket: str = request.getfixturevalue("bucket")
    return f"s3://{bucket}/lake"


@pytest.fixture
def store(request: pytest.FixtureRequest, location: str) -> Settings:
    """The settings that reach it."""
    if not location.startswith("s3://"):
        return Settings()
    s3: S3Server = request.getfixturevalue("s3")
    return Settings(
        s3_endpoint=s3.endpoint, s3_access_key=s3.access_key, s3_secret_key=s3.secret_key
    )


@pytest.fixture
def place(location: str, store: Settings) -> Place:
    return open_place(location, store)


@pytest.fixture
def tables(place: Place) -> Iterator[GroupCommitter]:
    with GroupCommitter(place, 0) as opened:
        yield opened


def held(objects: Objects, name: str = NAME) -> Markers:
    data = objects.get(name)
    return {} if data is None else markers_of(name, data)


class Stepped:
    """The objects of a worker that waits for its turn before it reads or replaces one."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._arrived, self._turn = threading.Semaphore(0), threading.Semaphore(0)
        self._is_free = self.ended = False

    def run(self, work: Callable[[], object]) -> None:
        """Work, in the worker's own thread."""
        try:
            work()
        finally:
            self.ended = True
            self._arrived.release()

    def arrive(self) -> None:
        """Wait until the worker waits for its turn, or has ended."""
        self._arrived.acquire()

    def step(self) -> None:
        """Let the worker do one call."""
        self._turn.release()
        self.arrive()

    def set_free(self) -> None:
        """Let the worker do all that is left."""
        self._is_free = True
        self._turn.release()

    def get_version(self, name: str) -> tuple[bytes | None, str]:
        self._wait()
        return self._objects.get_version(name)

    def replace(self, name: str, data: bytes, version: str) -> bool:
        self._wait()
        return self._objects.replace(name, data, version)

    def put(self, name: str, data: bytes) -> None:
        self._objects.put(name, data)

    def get(self, name: str) -> bytes | None:
        return self._objects.get(name)

    def delete(self, name: str) -> None:
        self._objects.delete(name)

    def names(self, prefix: str) -> Iterator[str]:
        return self._objects.names(prefix)

    def _wait(self) -> None:
        if not self._is_free:
            self._arrived.release()
            self._turn.acquire()


class Blind(Stepped):
    """Negative control: it stores a marker over whatever is there."""

    def replace(self, name: str, data: bytes, version: str) -> bool:
        self._wait()
        self._objects.put(name, data)
        return True


def interleave(
    workers: Sequence[Stepped],
    work: Sequence[Callable[[], object]],
    turns: Sequence[int],
    seen: Callable[[int], None],
) -> None:
    """Run workers call by call, in the order of their turns; `seen` is told how many were made."""
    with ThreadPoolExecutor(len(workers)) as pool:
        ends = [pool.submit(one.run, do) for one, do in zip(workers, work, strict=True)]
        try:
            for worker in workers:
                worker.arrive()
            seen(0)
            for number, turn in enumerate(chain(turns, repeat(0)), 1):
                going = [worker for worker in workers if not worker.ended]
                if not going:
                    break
                going[turn % len(going)].step()
                seen(number)
        finally:
            for worker in workers:
                worker.set_free()
    for end in ends:
        end.result()


def ranks(markers: Markers) -> dict[str, tuple[bool, int, int, bool]]:
    return {column: marker.rank for column, marker in markers.items()}


def is_no_less(after: Markers, before: Markers) -> bool:
    return all(after[column].rank >= marker.rank for column, marker in before.items())


@given(st.lists(MARKERS, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_markers_is_nothing(markers: list[Marker], random: Random) -> None:
    wanted = advanced({}, markers)
    for column, marker in wanted.items():
        assert marker.rank == max(one.rank for one in markers if one.column == column)
    random.shuffle(markers)
    assert advanced({}, markers) == wanted
    assert advanced(wanted, markers) == wanted


@settings(max_examples=30, deadline=None, suppress_health_check=FIXED)
@given(plan=WORKERS, turns=st.lists(st.integers(0, 2), max_size=24))
def test_no_interleaving_takes_a_marker_back(
    place: Place, tables: GroupCommitter, plan: list[list[tuple[Marker, ...]]], turns: list[int]
) -> None:
    """Each worker advances in some steps, a call at a time: a read, then a put on a condition."""
    name = f"markers/m/{uuid.uuid4().hex[:12]}/whole.json"
    workers = [Stepped(place.objects) for _ in plan]
    states: list[Markers] = [{}]

    def check(_: int) -> None:
        states.append(held(place.objects, name))
        assert is_no_less(states[-1], states[-2])

    def work(worker: Stepped, steps: list[tuple[Marker, ...]]) -> None:
        effects = (Advance(name, markers) for markers in steps)
        Performer(tables, worker).run(effect for effect in effects)

    interleave(
        workers, [partial(work, *one) for one in zip(workers, plan, strict=True)], turns, check
    )
    every = [marker for steps in plan for markers in steps for marker in markers]
    assert ranks(states[-1]) == ranks(advanced({}, every))


def failing() -> Batch:
    """A job fails behind its third part ..."""
    rows = {"failures": to_table("failures", [{"input_id": "m", "attempt": 0}])}
    return Batch("g/t/0", None, 1, 11, rows, (Marker(NAME, STRUCTURE, "failed", 3),))


def mending() -> Batch:
    """... and the next attempt ends well."""
    rows = {"answers": to_table("answers", [{"media_id": "m", "unit_no": 0}])}
    return Batch("g/t/0", 1, 2, 12, rows, (Marker(NAME, STRUCTURE, "indexed", 5, attempt=1),))


def wakes(place: Place, sleeper: Stepped, calls: int) -> Marker:
    """A worker sleeps in its landing, behind so many calls; another goes on, and it wakes up."""
    with GroupCommitter(place, 0) as one, GroupCommitter(place, 0) as other:
        former, owner = Performer(one, sleeper), Performer(other, place.objects)

        def go_on(number: int) -> None:
            if number == calls:
                owner.run(PROTOCOL.resume("g/t/0"))
                assert owner.run(PROTOCOL.land(mending()))
                assert held(place.objects)[STRUCTURE] == mending().markers[0]

        interleave([sleeper], [lambda: former.run(PROTOCOL.land(failing()))], [], go_on)
    return held(place.objects)[STRUCTURE]


@pytest.mark.parametrize("calls", [0, 1])
def test_a_worker_that_wakes_up_takes_no_marker_back(place: Place, calls: int) -> None:
    check_version(place, write=True)
    assert wakes(place, Stepped(place.objects), calls) == mending().markers[0]
    for table in ("failures", "answers"):
        assert query(place, f"select count(*) n from {table}").to_pylist() == [{"n": 1}]


def test_one_that_does_not_look_takes_it_back(place: Place) -> None:
    """Negative control."""
    assert wakes(place, Blind(place.objects), 1) == failing().markers[0]


@pytest.mark.parametrize("old", [None, b"old"])
def test_of_several_that_replace_one_version_one_does(place: Place, old: bytes | None) -> None:
    rivals, objects = 6, place.objects
    together = threading.Barrier(rivals)

    def rival(number: int) -> bool:
        together.wait()
        return objects.replace(name, b"%d" % number, version)

    with ThreadPoolExecutor(rivals) as pool:
        for attempt in range(4):
            name, version = f"x/{attempt}", ""
            if old is not None:
                objects.put(name, old)
                _, version = objects.get_version(name)
            won = list(pool.map(rival, range(rivals)))
            assert sum(won) == 1
            data, now = objects.get_version(name)
            assert data == b"%d" % won.index(True)
            assert now not in ("", version)


def test_a_lost_reply_loses_no_marker(s3: S3Server, bucket: str) -> None:
    with FaultProxy(s3.endpoint.removeprefix("http://")) as proxy:
        through = Settings(
            s3_endpoint=f"http://{proxy.address}",
            s3_access_key=s3.access_key,
            s3_secret_key=s3.secret_key,
        )
        place = open_place(f"s3://{bucket}/lake", through)
        with GroupCommitter(place, 0) as tables:
            for part, side in enumerate(("reply", "request", "reply"), 1):
                proxy.arm("reset", on=side, match=b"PUT /")  # type: ignore[arg-type]
                advance(Performer(tables, place.objects), Marker(NAME, "r", "partial", part))
                assert held(place.objects)["r"].parts == part
        assert sum(proxy.fired.values()) == 3


def test_threads_lose_no_marker_of_one_another(place: Place) -> None:
    columns = [f"r-{number}" for number in range(4)]

    def work(column: str) -> None:
        with GroupCommitter(place, 0) as tables:
            for part in range(1, 9):
                advance(Performer(tables, place.objects), Marker(NAME, column, "partial", part))

    with ThreadPoolExecutor(len(columns)) as pool:
        list(pool.map(work, columns))
    found = held(place.objects)
    assert {column: found[column].parts for column in found} == dict.fromkeys(columns, 8)


def test_processes_lose_no_marker_of_one_another(
    place: Place, location: str, store: Settings, child: Callable[..., Child]
) -> None:
    """And of those who want to be the first to store an object, one is."""
    columns = [f"r-{number}" for number in range(3)]
    keys = ("s3_endpoint", "s3_access_key", "s3_secret_key")
    more = {f"REELPAGE_{key.upper()}": str(getattr(store, key)) for key in keys}
    workers = [child("advance_markers", location, NAME, column, 10, **more) for column in columns]
    for worker in workers:
        wait_ready(worker)
    for worker in workers:
        begin(worker)
    ends = [worker.communicate(timeout=50) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0], ends
    found = held(place.objects)
    assert {column: found[column].parts for column in found} == dict.fromkeys(columns, 10)
    first = [
        (f"first/{number}", column)
        for column, end in zip(columns, ends, strict=True)
        for number in end[0].split()
    ]
    stored = {name: place.objects.get(name) for name in place.objects.names("first/")}
    assert len(first) == len(stored) == 10
    assert {name: column.encode() for name, column in first} == stored

"""The board: jobs get slots in the order in which they came, within a budget, and never wait."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Literal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.land.batch import Part, join_ranges
from pipeline.land.commit import GroupCommitter
from pipeline.land.lake import open_lake
from pipeline.land.perform import Performer
from pipeline.land.protocol import Protocol
from pipeline.land.rows import failure_row
from pipeline.land.store import local_place
from pipeline.land.window import LogError, is_final
from pipeline.query.sql import query
from schemas.errors import InputError
from schemas.jobs import Job, MediaReference
from services.ingest.board import Board, Ticket
from services.ingest.keys import FanOut
from services.ingest.landing import LandingThread
from services.ingest.partition import Tries
from services.ingest.slots import Hands, Slots
from services.ingest.subject import Delivery
from services.ingest.work import Work
from services.topic.record import Record
from tests.composed import Ends

WAIT_S = 30.0

# Any order of events, by hand


@dataclass
class Hand:
    """A slot's job.

    Attributes:
        ticket: of the job.
        number: of the part that it makes next.
        may: whether it may be made now.
    """

    ticket: Ticket
    number: int
    may: bool = True


@dataclass
class Bench:
    """A board, and everything that threads do with it, one event at a time.

    Attributes:
        board: of some partitions.
        slots: jobs in work at the most.
        todo: records of each partition that have not been taken.
        parts: sizes of the parts of the job in each record.
        hands: jobs in work.
        landed: positions of each partition.
    """

    board: Board
    slots: int
    todo: dict[int, list[Record]]
    parts: dict[tuple[int, int], list[int]]
    hands: list[Hand] = field(default_factory=list)
    landed: dict[int, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number in self.todo:
            self.board.assign(number, 0)
            self.board.resumed(number, None)
        for partition in self.board.open():
            partition.reading = True

    @property
    def held(self) -> int:
        return sum(one.window.bytes_held for one in self.board.open())

    def take(self, random: Random) -> None:
        """The poller lets a record in where it may."""
        left = sorted(number for number, some in self.todo.items() if some)
        if numbers := [number for number in left if number not in self.board.paused()]:
            number = random.choice(numbers)
            self.board.take(number, [self.todo[number].pop(0)])

    def begin(self, _: Random) -> None:
        """A slot that is free asks for a job."""
        if len(self.hands) < self.slots and (ticket := self.board.next_ticket(0.0)) is not None:
            place = (ticket.partition.number, ticket.record.offset)
            assert ticket.first == self.landed_parts(*place), "it goes on where it has landed"
            self.hands.append(Hand(ticket, ticket.first))

    def make(self, random: Random) -> None:
        """A slot makes a part, or asks again whether it may."""
        if not self.hands:
            return
        hand = random.choice(self.hands)
        if hand.may:
            place = (hand.ticket.partition.number, hand.ticket.record.offset)
            final = hand.number == len(self.parts[place]) - 1
            rows = {"failures": pa.table({"text": ["x" * self.parts[place][hand.number]]})}
            part = Part(rows, "indexed" if final else "")
            self.board.complete(hand.ticket, hand.number, part)
            hand.number += 1
            if final:
                self.hands.remove(hand)
                return
        verdict = self.board.verdict(hand.ticket)
        hand.may = verdict == "go on"
        if verdict == "stop":
            self.board.put_back(hand.ticket, Tries())
            self.hands.remove(hand)

    def land(self, random: Random) -> None:
        """The landing thread lands some of what is ready."""
        for partition, run in self.board.ready():
            some = run[: random.randint(1, len(run))]
            self.board.landed(partition, some[-1].position)
            self.landed.setdefault(partition.number, []).extend(one.position for one in some)

    def landed_parts(self, number: int, offset: int) -> int:
        return sum(position >> 20 == offset for position in self.landed.get(number, []))

    def done(self) -> bool:
        return not any(self.todo.values()) and not any(len(one.window) for one in self.board.open())


def bench(random: Random, budget: int, partitions: int, slots: int, jobs: int, most: int) -> Bench:
    """Jobs of a few keys; small records, and parts of no size or of the largest."""
    todo: dict[int, list[Record]] = {number: [] for number in range(partitions)}
    parts = {}
    for _ in range(jobs):
        number = random.randrange(partitions)
        offset = len(todo[number])
        value = b"x" * random.randint(1, most // 10)
        todo[number].append(Record(number, offset, random.choice("abcdefghijkl"), 0, value))
        parts[number, offset] = [random.choice([0, most]) for _ in range(random.randint(1, 5))]
    return Bench(Board(budget), slots, todo, parts)


@given(
    seed=st.integers(0, 2**32),
    budget=st.integers(1, 2000),
    partitions=st.integers(1, 6),
    slots=st.integers(1, 4),
    jobs=st.integers(1, 30),
)
def test_the_budget_holds_and_everything_lands(
    seed: int, budget: int, partitions: int, slots: int, jobs: int
) -> None:
    """Beyond it are one record, a part of each slot, and one of each partition's oldest job."""
    random, most = Random(seed), 300
    heaviest = pa.table({"text": ["x" * most]}).nbytes
    one = bench(random, budget, partitions, slots, jobs, most)
    bound = budget + most // 10 + (slots + partitions) * heaviest
    events = [one.take, one.begin, one.make, one.land]
    often = [random.uniform(0.05, 1) for _ in events]
    steps = 0
    while not one.done():
        (event,) = random.choices(events, often)
        event(random)
        assert one.held <= bound
        steps += 1
        assert steps < 20_000, "nothing goes on"
    for number, positions in one.landed.items():
        assert positions == sorted(set(positions))
        wanted = sum(len(sizes) for place, sizes in one.parts.items() if place[0] == number)
        assert len(positions) == wanted
        ends = [position >> 20 for position in positions if is_final(position)]
        assert ends == [offset for n, offset in one.parts if n == number]


def record(number: int, offset: int, key: str, size: int = 10) -> Record:
    return Record(number, offset, key, 0, b"x" * size)


def opened(budget: int, partitions: int) -> Board:
    return Bench(Board(budget), 1, {number: [] for number in range(partitions)}, {}).board


def begun(board: Board) -> tuple[int, int] | None:
    """Partition and offset of the job that a slot gets."""
    ticket = board.next_ticket(0.0)
    return None if ticket is None else (ticket.partition.number, ticket.record.offset)


def test_the_job_that_came_first_begins_first() -> None:
    board = opened(1000, 3)
    board.take(2, [record(2, 0, "a"), record(2, 1, "b")])
    board.take(0, [record(0, 0, "c")])
    board.take(2, [record(2, 2, "d")])
    board.take(1, [record(1, 0, "e")])
    found = [begun(board) for _ in range(6)]
    assert found == [(2, 0), (2, 1), (0, 0), (2, 2), (1, 0), None]


def test_without_room_each_partition_has_its_oldest_job_alone() -> None:
    board = opened(40, 2)
    board.take(0, [record(0, 0, "a", 30), record(0, 1, "b", 30)])
    board.take(1, [record(1, 0, "c", 30), record(1, 1, "d", 30)])
    assert board.paused() == {0, 1}
    assert [begun(board) for _ in range(3)] == [(0, 0), (1, 0), None]


def test_a_job_that_is_tried_later_holds_nobody_up() -> None:
    board = opened(1000, 1)
    board.take(0, [record(0, 0, "a"), record(0, 1, "a"), record(0, 2, "b")])
    ticket = board.next_ticket(0.0)
    assert ticket is not None
    board.put_back(ticket, Tries(1, not_before=5.0))
    assert begun(board) == (0, 2)
    assert begun(board) is None, "the second of its key comes behind it"
    again = board.next_ticket(5.0)
    assert again is not None
    assert (again.record.offset, again.failed) == (0, 1)


def test_what_comes_of_a_partition_that_went_is_dropped() -> None:
    board = opened(1000, 1)
    board.take(0, [record(0, 0, "a")])
    ticket = board.next_ticket(0.0)
    assert ticket is not None
    board.revoke([0])
    assert board.verdict(ticket) == "stop"
    board.complete(ticket, 0, Part(outcome="indexed"))
    board.put_back(ticket, Tries())
    assert board.ready() == []


# With threads and tables


class Waiting(Board):
    """The control, as it once was: a job that may not go on keeps its slot until it may."""

    def verdict(self, ticket: Ticket) -> Literal["go on", "wait", "stop"]:
        found = super().verdict(ticket)
        return "wait" if found == "stop" and self.has(ticket.partition) else found


JOBS = ("S1", "S1", "S2", "S3", "S4", "S5")
"""Keys, by offset."""
PARTS = {"S2": 2, "S3": 2}
"""Of their jobs, each with a row; the others have one part without."""


class Scripted(Work):
    """A job of `JOBS`; it goes on behind the parts that it has given."""

    def __init__(self, delivery: Delivery, script: "Script") -> None:
        self._offset, self._script = delivery.offset, script

    def parts(self) -> Generator[Part | FanOut]:
        yield from self._script.parts(self._offset)


@dataclass
class Script:
    """What the jobs give, in an order that once held up a whole worker.

    S2 and S3 have no room any more behind their first parts, which are made at the same time. The
    second job of S1 cannot start before the first has landed.
    """

    both: threading.Barrier = field(default_factory=lambda: threading.Barrier(2))
    given: Counter[int] = field(default_factory=Counter)

    def parts(self, offset: int) -> Generator[Part]:
        key = JOBS[offset]
        last = PARTS.get(key, 1) - 1
        for number in range(self.given[offset], last + 1):
            if last and number == 0:
                self.both.wait(WAIT_S)
            rows = {"failures": [row(key, number)]} if last else {}
            self.given[offset] += 1
            yield Part(rows, "indexed" if number == last else "")


def row(key: str, number: int) -> dict[str, object]:
    return failure_row(
        input_id=key,
        uri=f"{key}/{number}",
        recipe="",
        stage="consume",
        error=InputError("corrupt", "x" * 1000),
        run_id="r",
    )


@dataclass
class Threads:
    """Two slots and a landing thread over a board with the jobs, which have room by one byte."""

    board: Board
    slots: Slots
    landing: LandingThread
    script: Script
    ends: Ends

    @property
    def left(self) -> int:
        return sum(len(one.window) for one in self.board.open())


@contextmanager
def threads(root: Path, kind: type[Board]) -> Iterator[Threads]:
    records = [
        Record(0, offset, key, 0, Job(key, MediaReference("x")).to_json().encode())
        for offset, key in enumerate(JOBS)
    ]
    board, script, ends = kind(sum(len(one.value) for one in records) + 1), Script(), Ends()
    hands = Hands(
        topic="t",
        begin=lambda delivery, _: Scripted(delivery, script),
        send=lambda *_: None,
        home=lambda *_: 0,
        run_of=lambda job: job.id,
        check=lambda: None,
        watch=ends,
    )
    slots = Slots(2, board, hands)
    with open_lake(root) as place, GroupCommitter(place, delay_s=0.0) as tables:
        performer = Performer(tables, place.objects)
        landing = LandingThread(board, performer, Protocol(join_ranges, pa.table({})), "g/t")
        board.assign(0, 0)
        board.resumed(0, None)
        board.open()[0].reading = True
        board.take(0, records)
        try:
            yield Threads(board, slots, landing, script, ends)
        finally:
            slots.stop()
            landing.stop(WAIT_S)
            slots.join()
            slots.check()
            landing.check()


def wait_until(condition: Callable[[], bool], seconds: float = WAIT_S) -> bool:
    give_up = time.monotonic() + seconds
    while not condition() and time.monotonic() < give_up:
        time.sleep(0.01)
    return condition()


def begin(some: Threads) -> None:
    """Nothing lands before S2 and S3 have made their first parts: both slots are theirs by then."""
    some.slots.start()
    assert wait_until(lambda: {JOBS.index("S2"), JOBS.index("S3")} <= set(some.script.given))
    some.landing.start()


def test_jobs_that_have_no_room_give_their_slots_to_the_oldest(tmp_path: Path) -> None:
    with threads(tmp_path, Board) as some:
        begin(some)
        assert wait_until(lambda: some.left == 0)
        assert sorted(some.ends.parts) == list(range(len(JOBS)))
    found = query(local_place(tmp_path), "select uri from failures order by uri")
    assert found["uri"].to_pylist() == [f"{key}/{n}" for key in ("S2", "S3") for n in range(2)]


def test_slots_that_wait_for_room_wait_for_ever(tmp_path: Path) -> None:
    """The control: S2 and S3 wait for room, which S1 has to make, which waits for a slot."""
    with threads(tmp_path, Waiting) as some:
        begin(some)
        assert wait_until(lambda: some.left == len(JOBS) - 1), "the first of S1 lands"
        assert not wait_until(lambda: some.left < len(JOBS) - 1, 2.0)
        assert (some.slots.busy, some.board.ready()) == (2, [])


def test_records_that_expired_unread_stop_a_partition() -> None:
    board = Board()
    board.assign(0, log_start=3)
    board.resumed(0, None)
    (partition,) = board.open()
    partition.check_start(5, 5)
    with pytest.raises(LogError) as caught:
        partition.check_start(5, 6)
    assert caught.value.code == "retention_gap"
    board.stop(0, caught.value)
    assert board.paused() == {0}

"""Slots: media are read by turns, while jobs that have been read wait for the model."""

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from pipeline.land.batch import Part
from schemas.jobs import Job, MediaReference
from services.ingest.board import Board
from services.ingest.keys import FanOut
from services.ingest.slots import Hands, Slots
from services.ingest.subject import Delivery
from services.ingest.work import Work
from services.topic.record import Record
from tests.ingest.test_board import Ends, wait_until

COUNT = 6


@dataclass
class Script:
    """Jobs that read, ask and end when they are let."""

    reading: set[int] = field(default_factory=set)
    asking: set[int] = field(default_factory=set)
    read: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    answered: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))


class Scripted(Work):
    """A job with one part."""

    def __init__(self, delivery: Delivery, script: Script, has_read: Callable[[], None]) -> None:
        self._offset, self._script, self._read = delivery.offset, script, has_read

    def parts(self) -> Generator[Part | FanOut]:
        script = self._script
        script.reading.add(self._offset)
        script.read.acquire()
        script.reading.discard(self._offset)
        script.asking.add(self._offset)
        self._read()
        script.answered.acquire()
        script.asking.discard(self._offset)
        yield Part(outcome="indexed")


@contextmanager
def slots(count: int, asking: int, script: Script) -> Iterator[tuple[Slots, Ends]]:
    board, ends = Board(), Ends()
    hands = Hands(
        topic="t",
        begin=lambda delivery, has_read: Scripted(delivery, script, has_read),
        send=lambda *_: None,
        home=lambda *_: 0,
        run_of=lambda job: job.id,
        check=lambda: None,
        watch=ends,
    )
    board.assign(0, 0)
    board.resumed(0, None)
    board.open()[0].reading = True
    jobs = [Job(str(offset), MediaReference("x")).to_json().encode() for offset in range(COUNT)]
    board.take(0, [Record(0, offset, str(offset), 0, job) for offset, job in enumerate(jobs)])
    made = Slots(count, board, hands, asking)
    made.start()
    try:
        yield made, ends
    finally:
        made.stop()
        script.read.release(COUNT)
        script.answered.release(COUNT)
        assert wait_until(lambda: made.busy == 0)
        made.join()
        made.check()


@pytest.mark.parametrize(("count", "asking"), [(1, 0), (1, 2), (2, 3)])
def test_so_many_are_read_and_so_many_more_are_asked_about(count: int, asking: int) -> None:
    script = Script()
    with slots(count, asking, script) as (some, ends):
        for read in range(COUNT + 1):
            asked = min(read, count + asking)
            reading = min(count, count + asking - asked, COUNT - read)
            assert wait_until(lambda n=asked: len(script.asking) == n)  # type: ignore[misc]
            assert wait_until(lambda n=reading: len(script.reading) == n)  # type: ignore[misc]
            assert not wait_until(lambda n=reading: len(script.reading) > n, 0.3)  # type: ignore[misc]
            assert some.busy == asked + reading
            if read == count + asking:
                break
            script.read.release()
        script.read.release(COUNT)
        script.answered.release(COUNT)
        assert wait_until(lambda: sorted(ends.parts) == list(range(COUNT)))


def test_none_is_begun_after_the_end() -> None:
    """Though a turn is free then."""
    script = Script()
    with slots(1, 3, script) as (some, ends):
        script.read.release()
        assert wait_until(lambda: len(script.asking) == 1 and len(script.reading) == 1)
        some.stop()
        script.read.release()
        assert wait_until(lambda: len(script.asking) == 2)
        script.answered.release(2)
        assert wait_until(lambda: some.busy == 0)
        assert not wait_until(lambda: bool(script.reading), 0.5)
        assert sorted(ends.parts) == [0, 1]

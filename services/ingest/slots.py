"""Slots: threads of an ingest worker that work on one job each, part by part.

Whatever is raised in a slot has one of three ends: a part that says what failed, the job put back
to be tried again, or the end of the worker.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from pipeline.land.batch import Part
from pipeline.land.rows import failure_row
from schemas.errors import InputError, ReelpageError, SetupError, TransientError
from schemas.jobs import Job
from services.ingest.board import Board, Ticket
from services.ingest.keys import FanOut
from services.ingest.partition import Tries
from services.ingest.subject import Delivery
from services.ingest.work import Work, read_job
from services.topic.record import Record

log = logging.getLogger(__name__)

ATTEMPTS: Final = 6
"""Attempts at one part before it is a failure."""
_LONGEST_WAIT_S: Final = 30.0
_AWAY_S: Final = 5.0  # before a job is tried again that a service was away for
_IDLE_S: Final = 0.2
_MICRO: Final = 1_000_000
_HOPELESS: Final = ("disk_full", "lake_not_writable")


class Watch(Protocol):
    """Who is told what becomes of jobs; called by many threads."""

    def made(self, record: Record, job: Job | None, part: Part) -> None:
        """A part of a job is there; the job is None where the record holds none."""


def _later(seconds: float) -> float:
    """Monotonic seconds; not the same for all who wait."""
    return time.monotonic() + random.uniform(0.5, 1) * seconds


@dataclass(frozen=True)
class Hands:
    """What the slots of a worker need.

    Attributes:
        topic: name of the log.
        begin: an attempt at a job; told what to call when its medium has been read.
        send: puts the jobs that a job becomes on the log, behind its record.
        home: the partition in which a job of a key is worked on.
        run_of: what the rows of a job say they came by.
        check: asks the services that all jobs need; raises TransientError while one is away.
        watch: told of every part.
        later: the moment some seconds from now, by the clock of the slots.
    """

    topic: str
    begin: Callable[[Delivery, Callable[[], None]], Work]
    send: Callable[[Record, Iterable[tuple[str, Job]]], Any]
    home: Callable[[str, Job], int]
    run_of: Callable[[Job], str]
    check: Callable[[], object]
    watch: Watch
    later: Callable[[float], float] = _later


class Slots:
    """Works on the jobs of a board until it is told to stop, each to the end of a part."""

    def __init__(self, count: int, board: Board, hands: Hands, asking: int = 0) -> None:
        """No thread runs yet.

        Args:
            count: jobs whose media are read at a time.
            board: where they come from.
            hands: what work needs.
            asking: further jobs, whose media have been read and which wait for the model.
        """
        self._board, self._hands = board, hands
        self._turns = threading.Semaphore(count)
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._busy: set[int] = set()
        self._threads = [
            threading.Thread(target=self._loop, args=(number,), name=f"slot-{number}", daemon=True)
            for number in range(count + asking)
        ]
        self._further = iter(self._threads)

    @property
    def busy(self) -> int:
        """Jobs in work."""
        return len(self._busy)

    def start(self) -> None:
        """Begin with a thread; one that gets a job starts another, so that few have none."""
        if (thread := next(self._further, None)) is not None:
            thread.start()

    def stop(self) -> None:
        """Begin no further part."""
        self._stop.set()

    def join(self) -> None:
        """Wait for the threads that have nothing in work; the others end with the process."""
        for thread in self._threads:
            if not self._busy and thread.is_alive():
                thread.join()

    def check(self) -> None:
        """Raise what ends the worker."""
        if self._error is not None:
            raise self._error

    def _loop(self, number: int) -> None:
        try:
            while not self._stop.is_set():
                with self._turn() as end_turn:
                    if end_turn is None:
                        continue
                    ticket = self._board.next_ticket(time.monotonic())
                    if ticket is None:
                        self._board.wait(_IDLE_S)
                        continue
                    self._busy.add(number)
                    self.start()
                    self.attempt(ticket, end_turn)
                self._busy.discard(number)
        except BaseException as error:  # noqa: BLE001 - raised in the worker's main thread
            self._error = error
        finally:
            self._busy.discard(number)

    @contextmanager
    def _turn(self) -> Iterator[Callable[[], None] | None]:
        """A turn to read a medium, until what is given is called or the block ends; None for now.

        It comes before a job, so that those which wait for one hold none up, and begin none when
        all have to stop.
        """
        if not self._turns.acquire(timeout=_IDLE_S):
            yield None
            return
        with ExitStack() as turn:
            turn.callback(self._turns.release)
            yield None if self._stop.is_set() else turn.close

    def attempt(self, ticket: Ticket, has_read: Callable[[], None] = lambda: None) -> None:
        """Work on a job until it ends, has to stop or fails; the simulator runs this too.

        Raises:
            Exception: what ends the worker.
        """
        record = ticket.record
        try:
            job = read_job(record.value)
        except InputError as error:
            self._give(ticket, ticket.first, None, _bad_job(self._hands.topic, record, error))
            return
        work = self._begin(record, job, has_read)
        number = ticket.first
        try:
            with closing(self._parts(record, job, work)) as parts:
                for made in parts:
                    part = self._part(record, made)
                    self._give(ticket, number, job, part)
                    number += 1
                    if part.final or not self._may_go_on(ticket):
                        return
        except Exception as fault:  # noqa: BLE001 - one job must not hold the others up
            failed = 1 + (ticket.failed if number == ticket.first else 0)
            self._end_of(ticket, number, job, work, fault, failed)

    def _begin(self, record: Record, job: Job, has_read: Callable[[], None]) -> Work:
        topic, run_id = self._hands.topic, self._hands.run_of(job)
        place = (record.partition, record.offset, record.key)
        return self._hands.begin(Delivery(job, topic, *place, run_id), has_read)

    def _parts(self, record: Record, job: Job, work: Work) -> Generator[Part | FanOut]:
        """What to give: a job that is not at home goes there."""
        if self._hands.home(record.key, job) != record.partition:
            yield FanOut(((record.key, job),))
        else:
            yield from work.parts()

    def _part(self, record: Record, made: Part | FanOut) -> Part:
        """What lands: a part, or that the jobs which this one becomes have been sent."""
        if isinstance(made, Part):
            return made
        self._hands.send(record, made.jobs)
        log.info("offset %d: becomes %d jobs", record.offset, len(made.jobs))
        return Part(outcome="sent_on")

    def _give(self, ticket: Ticket, number: int, job: Job | None, part: Part) -> None:
        self._board.complete(ticket, number, part.sealed())
        self._hands.watch.made(ticket.record, job, part)

    def _may_go_on(self, ticket: Ticket) -> bool:
        """Whether to make another part; if not, the job is put back."""
        while not self._stop.is_set():
            verdict = self._board.verdict(ticket)
            if verdict == "go on":
                return True
            if verdict == "stop":
                break
            self._board.wait(_IDLE_S)
        self._board.put_back(ticket, Tries())
        return False

    def _end_of(
        self, ticket: Ticket, number: int, job: Job, work: Work, fault: Exception, failed: int
    ) -> None:
        """What follows from a fault: the job is tried again, or ends with a failure."""
        error = _named(fault, job)
        if error.code in _HOPELESS:
            raise fault
        if not self._services_answer(job) or error.code in ("broker_failed", "model_changed"):
            log.warning("job %s: part %d waits: %s", job.id, number, error)
            self._put_back(ticket, failed - 1, _AWAY_S)
        elif failed < ATTEMPTS and not _is_late(job):
            log.warning("job %s: part %d, attempt %d: %s", job.id, number, failed, error)
            self._put_back(ticket, failed, min(2.0**failed, _LONGEST_WAIT_S))
        else:
            self._give_up(ticket, number, job, work, error)

    def _give_up(
        self, ticket: Ticket, number: int, job: Job, work: Work, error: ReelpageError
    ) -> None:
        record = ticket.record
        try:
            part = self._part(record, work.failure(error))
        except TransientError as away:
            log.warning("job %s: its failure waits: %s", job.id, away)
            self._put_back(ticket, ATTEMPTS - 1, _AWAY_S)
        else:
            self._give(ticket, number, job, part)

    def _services_answer(self, job: Job) -> bool:
        """Whether what all jobs need is there; else none of them has failed.

        Raises:
            SetupError: it refuses this worker.
        """
        try:
            self._hands.check()
        except TransientError as away:
            log.warning("job %s: waits, as do others: %s", job.id, away)
            return False
        return True

    def _put_back(self, ticket: Ticket, failed: int, seconds: float) -> None:
        self._board.put_back(ticket, Tries(failed, self._hands.later(seconds)))


def _named(fault: Exception, job: Job) -> ReelpageError:
    """A fault as an error of ours that lands; one that nobody raised on purpose is logged."""
    if isinstance(fault, TransientError | SetupError):
        return fault
    log.error("job %s: a fault of reelpage", job.id, exc_info=fault)
    reason = f"{type(fault).__name__}: {fault}"
    return TransientError("internal", f"job {job.id}: a fault of reelpage ({reason}); report it")


def _is_late(job: Job) -> bool:
    return job.deadline_us is not None and time.time() * _MICRO > job.deadline_us


def _bad_job(topic: str, record: Record, error: InputError) -> Part:
    """A record that is no job is a failure of its own place in the log."""
    uri = f"kafka:{topic}/{record.partition}/{record.offset}"
    row = failure_row(
        input_id=record.mark,
        uri=uri,
        recipe="",
        stage="consume",
        error=InputError(error.code, f"{uri}: {error.message}"),
        run_id="",
        size=len(record.value),
    )
    return Part({"failures": [row]}, "failed")

"""Slots: threads of an ingest worker that work on one job each, unit by unit."""

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from pipeline.land.batch import Unit
from pipeline.land.rows import failure_row, to_table
from schemas.errors import InputError, TransientError
from schemas.jobs import Job
from services.ingest.keys import FanOut
from services.ingest.units import Delivery
from services.ingest.work import Work, read_job
from services.topic.broker import Record

log = logging.getLogger(__name__)

ATTEMPTS: Final = 6
"""Attempts at one unit before it is a failure."""
_LONGEST_WAIT_S: Final = 30.0
_ROOM_S: Final = 0.2
_MICRO: Final = 1_000_000


class Turn(Exception):
    """The job is not this worker's any more, or the worker drains."""


@dataclass(frozen=True)
class Ticket:
    """A job to work on.

    Attributes:
        record: as it came.
        first: number of the first unit that has not landed.
        wanted: whether the job is still this worker's.
        has_room: whether another unit may be made now.
        complete: takes a unit with its number.
    """

    record: Record
    first: int
    wanted: Callable[[], bool]
    has_room: Callable[[], bool]
    complete: Callable[[int, Unit], None]


class Slots:
    """Works on jobs until it is told to stop; then every job ends behind the unit in work."""

    def __init__(
        self,
        count: int,
        work: Work,
        topic: str,
        send: Callable[[Iterable[tuple[str, Job]]], object],
    ) -> None:
        """Take what the work needs.

        Args:
            count: jobs at a time.
            work: makes units of a job.
            topic: where the jobs come from.
            send: sends the jobs that a long video's job becomes.
        """
        self._work, self._topic, self._send = work, topic, send
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="slot")
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._busy = 0
        self.counts: Counter[str] = Counter()

    @property
    def busy(self) -> int:
        """Jobs in work."""
        return self._busy

    def start(self, ticket: Ticket) -> None:
        """Queue a job."""
        if not self._stop.is_set():
            self._threads.submit(self._guarded, ticket)

    def stop(self) -> None:
        """Begin no further unit."""
        self._stop.set()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _guarded(self, ticket: Ticket) -> None:
        with self._lock:
            self._busy += 1
        try:
            self._run(ticket)
        except Turn:
            pass
        finally:
            with self._lock:
                self._busy -= 1

    def _run(self, ticket: Ticket) -> None:
        record = ticket.record
        try:
            job = read_job(record.value)
        except InputError as error:
            self._finish(ticket, ticket.first, _bad_job(self._topic, record, error), record.mark)
            return
        delivery = Delivery(job, self._topic, record.partition, record.offset, record.key)
        number, attempt = ticket.first, 0
        while True:
            try:
                for made in self._units(ticket, delivery, number):
                    self._finish(ticket, number, made, job.id)
                    number, attempt = number + 1, 0
                return
            except Turn:
                raise
            except Exception as fault:  # noqa: BLE001 - one of ours must not hold the others up
                cause = _transient(fault, job)
                attempt += 1
                if attempt >= ATTEMPTS or _is_late(job):
                    self._give_up(ticket, delivery, number, cause)
                    return
                log.warning("job %s: unit %d, attempt %d: %s", job.id, number, attempt, cause)
                self._wait(ticket, min(random.uniform(0.5, 1) * 2**attempt, _LONGEST_WAIT_S))

    def _units(self, ticket: Ticket, delivery: Delivery, number: int) -> Generator[Unit]:
        """Units, each begun only when it has room and the job is still wanted."""
        units = self._work.units(delivery, number)
        try:
            while True:
                while not ticket.has_room():
                    self._wait(ticket, _ROOM_S)
                self._wait(ticket, 0)
                made = next(units, None)
                if made is None:
                    return
                if isinstance(made, FanOut):
                    self._send(made.jobs)
                    log.info("job %s: cut into %d ranges", delivery.job.id, len(made.jobs))
                    made = Unit(final=True)
                yield made
        finally:
            units.close()

    def _give_up(
        self, ticket: Ticket, delivery: Delivery, number: int, error: TransientError
    ) -> None:
        while True:
            try:
                made = self._work.failure(delivery, number, error)
                break
            except TransientError as again:
                log.warning("job %s: its failure cannot be recorded: %s", delivery.job.id, again)
                self._wait(ticket, _LONGEST_WAIT_S / 6)
        self._finish(ticket, number, made, delivery.job.id)

    def _finish(self, ticket: Ticket, number: int, made: Unit, name: str) -> None:
        if made.final:
            outcome = _outcome(made)
            self.counts[outcome] += 1
            said = log.warning if outcome == "failed" else log.info
            said("job %s: %s %s", name, outcome, "; ".join(_messages(made)))
        ticket.complete(number, made)

    def _wait(self, ticket: Ticket, seconds: float) -> None:
        """Wait.

        Raises:
            Turn: the job is not to be gone on with.
        """
        give_up = time.monotonic() + seconds
        while True:
            if self._stop.wait(max(0.0, min(_ROOM_S, give_up - time.monotonic()))):
                raise Turn
            if not ticket.wanted():
                raise Turn
            if time.monotonic() >= give_up:
                return


def _transient(fault: Exception, job: Job) -> TransientError:
    if isinstance(fault, TransientError):
        return fault
    log.error("job %s: a fault of reelpage", job.id, exc_info=fault)
    reason = f"{type(fault).__name__}: {fault}"
    return TransientError("internal", f"job {job.id}: a fault of reelpage ({reason}); report it")


def _is_late(job: Job) -> bool:
    return job.deadline_us is not None and time.time() * _MICRO > job.deadline_us


def _outcome(made: Unit) -> str:
    if any(marker.outcome == "failed" for marker in made.markers) or "failures" in made.rows:
        return "failed"
    return "indexed" if made.markers else "skipped"


def _messages(made: Unit) -> list[str]:
    failures = made.rows.get("failures", pa.table({"message": []}))
    return [str(message) for message in failures["message"].to_pylist()]


def _bad_job(topic: str, record: Record, error: InputError) -> Unit:
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
    return Unit({"failures": to_table("failures", [row])}, final=True)

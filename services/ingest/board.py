"""Board: the partitions of a worker, shared by its threads under one lock."""

import logging
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from pipeline.land.batch import Unit
from pipeline.land.protocol import Resumed
from pipeline.land.window import Done, LogError
from services.ingest.partition import Marked, Partition
from services.ingest.slots import Ticket
from services.topic.broker import Record

log = logging.getLogger(__name__)

_UNITS: Final = 64  # of one landing


class Board:
    """Which partitions wait to be resumed, are open, or have stopped for good.

    A partition that is revoked, or found stale, leaves the board; threads that still hold it find
    out by `has` and drop what they made.
    """

    def __init__(self, start: Callable[[Ticket], None]) -> None:
        """Take the function that starts a job; it must return at once."""
        self._start = start
        self._lock = threading.RLock()
        self._waiting: dict[int, int] = {}
        self._open: dict[int, Partition] = {}
        self._stopped: dict[int, LogError] = {}

    # By the poller

    def assign(self, number: int, log_start: int) -> None:
        """A partition is this worker's, from now on; its log begins at an offset."""
        with self._lock:
            self._open.pop(number, None)
            self._stopped.pop(number, None)
            self._waiting[number] = log_start

    def revoke(self, numbers: Iterable[int]) -> None:
        """Partitions are this worker's no longer."""
        with self._lock:
            for number in numbers:
                for place in (self._open, self._waiting, self._stopped):
                    place.pop(number, None)

    def stop(self, number: int, error: LogError) -> None:
        """Read a partition no further: its log is not the one that was landed from."""
        log.error("partition %d stopped: %s: %s", number, error.code, error.message)
        with self._lock:
            self._open.pop(number, None)
            self._waiting.pop(number, None)
            self._stopped[number] = error

    def take(self, number: int, records: Iterable[Record]) -> None:
        """Let fetched records in, and start what may start."""
        with self._lock:
            partition = self._open.get(number)
            if partition is None or not partition.reading:
                return
            try:
                for record in records:
                    partition.take(record)
            except LogError as error:
                self.stop(number, error)
                return
            self._start_jobs(partition)

    def open(self) -> list[Partition]:
        """Those whose position is known."""
        with self._lock:
            return list(self._open.values())

    def paused(self) -> set[int]:
        """Those from which nothing more may be fetched now."""
        with self._lock:
            full = {number for number, one in self._open.items() if one.window.full}
            return full | set(self._waiting) | set(self._stopped)

    def committed(self) -> dict[int, int]:
        """Kafka's offsets: every record before them has landed to its end."""
        with self._lock:
            return {
                number: one.window.committed
                for number, one in self._open.items()
                if one.window.position is not None
            }

    # By the lander

    def waiting(self) -> dict[int, int]:
        """Partitions to resume, with the starts of their logs."""
        with self._lock:
            return dict(self._waiting)

    def resumed(self, number: int, resumed: Resumed | None) -> None:
        """Open a partition behind its position, unless it was revoked meanwhile."""
        with self._lock:
            if number not in self._waiting:
                return
            try:
                self._open[number] = Partition.at(number, resumed, self._waiting.pop(number))
            except LogError as error:
                self.stop(number, error)

    def ready(self) -> list[tuple[Partition, list[Done[Marked]]]]:
        """Open partitions with the units whose turn to land has come."""
        with self._lock:
            runs = [(one, one.window.ready()[:_UNITS]) for one in self._open.values()]
        return [(partition, run) for partition, run in runs if run]

    def landed(self, partition: Partition, position: int) -> None:
        """Units up to a position are in the tables."""
        with self._lock:
            partition.landed(position)
            if self.has(partition):
                self._start_jobs(partition)

    def stale(self, partition: Partition) -> None:
        """Another worker has gone on with a partition: resume it, if it is still ours."""
        with self._lock:
            if self._open.get(partition.number) is partition:
                del self._open[partition.number]
                self._waiting[partition.number] = 0

    # By the slots

    def has(self, partition: Partition) -> bool:
        """Whether work on a partition is still this worker's."""
        with self._lock:
            return self._open.get(partition.number) is partition

    def _has_room(self, partition: Partition, offset: int) -> bool:
        with self._lock:
            return not self.has(partition) or partition.window.may_go_on(offset)

    def _complete(self, partition: Partition, record: Record, number: int, made: Unit) -> None:
        with self._lock:
            if self.has(partition):
                item = (record.mark, made)
                partition.window.complete(record.offset, number, item, made.size, final=made.final)

    def _start_jobs(self, partition: Partition) -> None:
        for start, record in partition.starts():
            self._start(
                Ticket(
                    record,
                    start.first_unit,
                    wanted=partial(self.has, partition),
                    has_room=partial(self._has_room, partition, record.offset),
                    complete=partial(self._complete, partition, record),
                )
            )

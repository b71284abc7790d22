"""Board: the partitions of a worker and what may be done next, shared by its threads.

It has no clock, no threads and no I/O of its own, so that the simulator runs it too. A job gets a
slot only if it can be gone on with: the oldest job of a partition always may, a younger one only
while the bytes that the worker holds are within its budget. One that has to stop gives its slot
back, and starts again once all that it made has landed. So no slot ever waits for another.
"""

import logging
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from pipeline.land.batch import Part
from pipeline.land.protocol import Resumed
from pipeline.land.window import Done, LogError, next_offset
from services.ingest.partition import Marked, Partition, Tries
from services.topic.record import Record

log = logging.getLogger(__name__)

BUDGET: Final = 256 << 20
"""Bytes of records and rows that a worker holds, over which no job but the oldest goes on."""
PARTS: Final = 64
"""Parts of one landing."""


@dataclass(frozen=True, eq=False)
class Ticket:
    """A job for a slot.

    Attributes:
        partition: of the log.
        record: as it came.
        first: number of the first part that has not landed.
        failed: how often this part has failed.
    """

    partition: Partition
    record: Record
    first: int
    failed: int


class Board:
    """Which partitions wait to be resumed, are open, or have stopped for good.

    A partition that is revoked, or found stale, leaves the board; threads that still hold it find
    out by `has` and drop what they made.
    """

    def __init__(self, budget: int = BUDGET) -> None:
        self._budget = budget
        self._changed = threading.Condition(threading.RLock())
        self._waiting: dict[int, int] = {}
        self._open: dict[int, Partition] = {}
        self._stopped: dict[int, LogError] = {}
        self._taken = 0

    def wait(self, seconds: float) -> None:
        """Wait until something changes, or for a time."""
        with self._changed:
            self._changed.wait(seconds)

    # By the poller

    def assign(self, number: int, log_start: int) -> None:
        """A partition is this worker's, from now on; its log begins at an offset."""
        with self._changed:
            self._open.pop(number, None)
            self._stopped.pop(number, None)
            self._waiting[number] = log_start
            self._changed.notify_all()

    def revoke(self, numbers: Iterable[int]) -> None:
        """Partitions are this worker's no longer."""
        with self._changed:
            for number in numbers:
                for place in (self._open, self._waiting, self._stopped):
                    place.pop(number, None)

    def stop(self, number: int, error: LogError) -> None:
        """Read a partition no further: its log is not the one that was landed from."""
        log.error("partition %d stopped: %s: %s", number, error.code, error.message)
        with self._changed:
            self._open.pop(number, None)
            self._waiting.pop(number, None)
            self._stopped[number] = error

    def take(self, number: int, records: Iterable[Record]) -> None:
        """Let fetched records in."""
        with self._changed:
            partition = self._open.get(number)
            if partition is None or not partition.reading:
                return
            try:
                for record in records:
                    self._taken += 1
                    partition.take(record, self._taken)
            except LogError as error:
                self.stop(number, error)
            self._changed.notify_all()

    def open(self) -> list[Partition]:
        """Those whose position is known."""
        with self._changed:
            return list(self._open.values())

    def paused(self) -> set[int]:
        """Those from which nothing more may be fetched now."""
        with self._changed:
            every = not self._has_room()
            full = {number for number, one in self._open.items() if every or one.window.full}
            return full | set(self._waiting) | set(self._stopped)

    def bytes_held(self) -> int:
        """Bytes of records and rows that have not landed."""
        with self._changed:
            return sum(one.window.bytes_held for one in self._open.values())

    def states(self) -> dict[str, int]:
        """How many partitions are open, wait to be resumed, or have stopped for good."""
        with self._changed:
            return {
                "open": len(self._open),
                "waiting": len(self._waiting),
                "stopped": len(self._stopped),
            }

    def lag(self) -> dict[int, int]:
        """Jobs that have not landed, by partition; of those whose log's end is known."""
        with self._changed:
            return {
                number: max(0, one.end - next_offset(one.window.position))
                for number, one in self._open.items()
                if one.end is not None
            }

    def committed(self) -> dict[int, int]:
        """Kafka's offsets: every record before them has landed to its end."""
        with self._changed:
            return {
                number: one.window.committed
                for number, one in self._open.items()
                if one.window.position is not None
            }

    # By the lander

    def waiting(self) -> dict[int, int]:
        """Partitions to resume, with the starts of their logs."""
        with self._changed:
            return dict(self._waiting)

    def resumed(self, number: int, resumed: Resumed | None) -> None:
        """Open a partition behind its position, unless it was revoked meanwhile."""
        with self._changed:
            if number not in self._waiting:
                return
            try:
                self._open[number] = Partition.at(number, resumed, self._waiting.pop(number))
            except LogError as error:
                self.stop(number, error)

    def ready(self) -> list[tuple[Partition, list[Done[Marked]]]]:
        """Open partitions with the parts whose turn to land has come."""
        with self._changed:
            runs = [(one, one.window.ready()[:PARTS]) for one in self._open.values()]
        return [(partition, run) for partition, run in runs if run]

    def landed(self, partition: Partition, position: int) -> None:
        """Parts up to a position are in the tables."""
        with self._changed:
            partition.landed(position)
            self._changed.notify_all()

    def stale(self, partition: Partition) -> None:
        """Another worker has gone on with a partition: resume it, if it is still ours."""
        with self._changed:
            if self._open.get(partition.number) is partition:
                del self._open[partition.number]
                self._waiting[partition.number] = 0

    # By the slots

    def next_ticket(self, now: float) -> Ticket | None:
        """The job that came first of those that may start; it is taken as being worked on.

        Args:
            now: monotonic seconds.
        """
        with self._changed:
            found = min(self._startable(now), key=lambda one: one[0], default=None)
            if found is None:
                return None
            ticket = found[1]
            ticket.partition.window.start(ticket.record.offset)
            return ticket

    def has(self, partition: Partition) -> bool:
        """Whether work on a partition is still this worker's."""
        with self._changed:
            return self._open.get(partition.number) is partition

    def verdict(self, ticket: Ticket) -> Literal["go on", "wait", "stop"]:
        """Whether a job may make another part.

        The oldest waits in its slot: what it has made lands whatever the slots do.
        """
        with self._changed:
            window, offset = ticket.partition.window, ticket.record.offset
            if not self.has(ticket.partition):
                return "stop"
            if self._has_room():
                return "go on"
            if not window.is_oldest(offset):
                return "stop"
            return "wait" if window.ready() else "go on"

    def complete(self, ticket: Ticket, number: int, made: Part) -> None:
        """A sealed part of a job is there."""
        with self._changed:
            partition, record = ticket.partition, ticket.record
            if self.has(partition):
                item = (record.mark, made)
                window = partition.window
                window.complete(record.offset, number, item, made.size, final=made.final)
                partition.tries.pop(record.offset, None)
                self._changed.notify_all()

    def put_back(self, ticket: Ticket, tries: Tries) -> None:
        """A job gives its slot back before its end."""
        with self._changed:
            if self.has(ticket.partition):
                ticket.partition.tries[ticket.record.offset] = tries
                ticket.partition.window.put_back(ticket.record.offset)
                self._changed.notify_all()

    def _startable(self, now: float) -> Iterator[tuple[int, Ticket]]:
        room = self._has_room()
        for partition in self._open.values():
            for start in partition.window.startable():
                tries = partition.tries.get(start.offset, Tries())
                may = room or partition.window.is_oldest(start.offset)
                if may and tries.not_before <= now:
                    number, record = partition.records[start.offset]
                    yield number, Ticket(partition, record, start.first_part, tries.failed)

    def _has_room(self) -> bool:
        return self.bytes_held() < self._budget

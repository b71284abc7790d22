"""Partition: what a worker knows of one assigned partition, between the poll and the tables."""

from dataclasses import dataclass, field
from typing import Final

from pipeline.land.batch import Part
from pipeline.land.protocol import Resumed
from pipeline.land.window import (
    LogError,
    Window,
    check_kept,
    check_same_log,
    next_offset,
    offset_of,
    seek_to,
)
from services.topic.record import Record

_RECORDS: Final = 64
"""Jobs that the window of a partition holds at the most."""

Marked = tuple[str, Part]
"""A part with the mark of its record."""


@dataclass(frozen=True)
class Tries:
    """How often the next part of a job has failed, and when it is tried again."""

    failed: int = 0
    not_before: float = 0.0


@dataclass(eq=False)
class Partition:
    """One assignment of a partition whose position in the tables is known.

    Attributes:
        number: of the partition.
        resumed: where its tables stand, or None at the beginning.
        fetch: offset of the next record to take.
        window: jobs that have not landed.
        records: of those jobs, by offset, with when they came, as a number that grows.
        tries: of those jobs that could not be gone on with.
        reading: whether the log has been sent to `fetch`.
        end: offset behind the last record of the log, as the broker said it last.
    """

    number: int
    resumed: Resumed | None
    fetch: int
    window: Window[Marked] = field(init=False)
    records: dict[int, tuple[int, Record]] = field(default_factory=dict)
    tries: dict[int, Tries] = field(default_factory=dict)
    reading: bool = False
    end: int | None = None

    def __post_init__(self) -> None:
        """Open the window behind the position."""
        position = None if self.resumed is None else self.resumed.position
        self.window = Window(position, records=_RECORDS)

    @classmethod
    def at(cls, number: int, resumed: Resumed | None, log_start: int) -> "Partition":
        """The partition, to be read on from where its tables stand.

        Raises:
            LogError: `retention_gap`.
        """
        position = None if resumed is None else resumed.position
        # The log's end is known with the first fetch only: see `check_end`.
        end = 0 if position is None else offset_of(position) + 1
        return cls(number, resumed, seek_to(position, log_start, end))

    def take(self, record: Record, number: int) -> None:
        """Let a fetched record into the window, unless it has landed.

        Args:
            record: the next one of the log.
            number: larger than that of all records that came before.

        Raises:
            LogError: `log_replaced` or `log_behind_table`: this is another log.
        """
        landed = self.resumed
        if record.offset < self.fetch:
            message = (
                f"offset {record.offset} came where {self.fetch} was next: the topic was "
                "re-created or has lost its tail; submit to a topic of a new name"
            )
            raise LogError("log_behind_table", message)
        if landed is not None and record.offset == offset_of(landed.position):
            check_same_log(landed.key, record.mark, record.offset)
        if not self.window.has_landed(record.offset):
            self.window.admit(record.offset, record.key, len(record.value))
            self.records[record.offset] = (number, record)
        self.fetch = record.offset + 1

    def check_end(self, high_water: int) -> None:
        """Compare the broker's end of the log with what has landed.

        Raises:
            LogError: `log_behind_table`.
        """
        self.end = high_water
        if self.resumed is not None:
            seek_to(self.resumed.position, 0, high_water)

    def check_start(self, offset: int, log_start: int) -> None:
        """Compare the beginning of the log with the next record that has not landed.

        Args:
            offset: of the next record of the log that has not been fetched.
            log_start: offset of the first record that the broker keeps.

        Raises:
            LogError: `retention_gap`.
        """
        check_kept(max(offset, next_offset(self.window.position)), log_start)

    def landed(self, position: int) -> None:
        """Forget what has landed."""
        self.window.landed(position)
        done = next_offset(position)
        self.records = {offset: one for offset, one in self.records.items() if offset >= done}
        self.tries = {offset: one for offset, one in self.tries.items() if offset >= done}

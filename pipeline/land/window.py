"""Window: which units of a partition may land next, and from where to read on after a restart.

Work completes out of order and lands in order, up to the low watermark. A window belongs to one
assignment of one partition; it has no clock, no threads and no I/O.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from schemas.errors import SetupError

UNIT_BITS: Final = 20
FINAL_UNIT: Final = (1 << UNIT_BITS) - 1
"""The final unit of every job has this number in positions, so that the position alone says whether
the job goes on."""

T = TypeVar("T")


class LogError(SetupError):
    """The partition's log is not the one whose records landed; stop it and never skip."""


def position_of(offset: int, unit: int, *, final: bool) -> int:
    """Position of a unit in the tables: `offset << 20 | unit`; a final unit has all 20 bits set.

    Raises:
        ValueError: the job has more units than a position can count.
    """
    if not 0 <= unit < FINAL_UNIT:
        message = f"unit {unit}: a job has at most {FINAL_UNIT} units; split it into ranges"
        raise ValueError(message)
    return offset << UNIT_BITS | (FINAL_UNIT if final else unit)


def offset_of(position: int) -> int:
    """Offset of the record whose unit is at a position."""
    return position >> UNIT_BITS


def is_final(position: int) -> bool:
    """Whether the job at a position has landed to its end."""
    return position & FINAL_UNIT == FINAL_UNIT


def next_offset(position: int | None, first: int = 0) -> int:
    """Offset of the first record that has not landed to its end; Kafka's committed offset."""
    if position is None:
        return first
    return offset_of(position) + is_final(position)


def seek_to(position: int | None, log_start: int, log_end: int) -> int:
    """The offset to read on from, after an assignment.

    That is the record at the position itself, even if it has landed to its end: its key tells
    whether the log is still the same one (`check_same_log`).

    Args:
        position: the last that landed, or None.
        log_start: offset of the first record that the broker keeps.
        log_end: offset behind the last one.

    Raises:
        LogError: `log_behind_table`, `retention_gap`.
    """
    if position is None:
        return log_start
    last, wanted = offset_of(position), next_offset(position)
    if last >= log_end:
        message = (
            f"the log ends at offset {log_end}, but offset {last} has landed: the topic was "
            "re-created or has lost its tail; submit to a topic of a new name"
        )
        raise LogError("log_behind_table", message)
    if wanted < log_start:
        message = (
            f"offset {wanted} comes next, but the log starts at {log_start}: records expired "
            "unread; raise the topic's retention, then submit the media again under a new group"
        )
        raise LogError("retention_gap", message)
    return max(last, log_start)


def check_same_log(landed_key: str, key: str, offset: int) -> None:
    """Compare the record at the last position with the job that landed there.

    Raises:
        LogError: `log_replaced`, if it is another one.
    """
    if landed_key != key:
        message = (
            f"offset {offset} holds {key!r}, but {landed_key!r} has landed from it: the topic was "
            "re-created; submit to a topic of a new name"
        )
        raise LogError("log_replaced", message)


@dataclass(frozen=True)
class Start:
    """A job that may start, from a unit on: those before it have landed."""

    offset: int
    first_unit: int


@dataclass(frozen=True)
class Done(Generic[T]):
    """A unit whose turn to land has come."""

    position: int
    item: T


@dataclass
class _Job(Generic[T]):
    offset: int
    key: str
    size: int
    unit: int  # the next one to land
    started: bool = False
    last: int | None = None
    done: dict[int, tuple[T, int]] = field(default_factory=dict)

    def bytes_held(self) -> int:
        return self.size + sum(size for _, size in self.done.values())

    def number(self, position: int) -> int:
        if not is_final(position):
            return position & FINAL_UNIT
        assert self.last is not None
        return self.last


class Window(Generic[T]):
    """Jobs of one partition between the poll and the tables."""

    def __init__(self, position: int | None, *, records: int, size: int) -> None:
        """Start behind the table's position.

        Args:
            position: the last that landed, or None.
            records: jobs held at most.
            size: bytes held at most, of records, media and rows.
        """
        self.position = position
        self._records, self._size = records, size
        self._jobs: deque[_Job[T]] = deque()
        self._admitted = -1 if position is None else next_offset(position) - 1

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def full(self) -> bool:
        """Whether the partition has to pause."""
        return len(self._jobs) >= self._records or self.bytes_held >= self._size

    @property
    def bytes_held(self) -> int:
        """Bytes of all jobs and of the units that wait for their turn."""
        return sum(job.bytes_held() for job in self._jobs)

    def may_go_on(self, offset: int) -> bool:
        """Whether a job may make another unit; the oldest always may, or nothing would land."""
        return self._jobs[0].offset == offset or self.bytes_held < self._size

    @property
    def committed(self) -> int:
        """Kafka's committed offset: every record before it has landed to its end."""
        return self._jobs[0].offset if self._jobs else self._admitted + 1

    def has_landed(self, offset: int) -> bool:
        """Whether a record needs no more work."""
        return offset < next_offset(self.position)

    def admit(self, offset: int, key: str, size: int) -> bool:
        """Take a record in; return whether to pause the partition.

        Args:
            offset: behind all before it. Gaps are no error: transactions and compaction leave them.
            key: what no two jobs may work on at the same time.
            size: bytes.

        Raises:
            LogError: `log_behind_table`, if the offset was there before: the log was reset.
        """
        if offset <= self._admitted:
            message = f"offset {offset} came after offset {self._admitted}: the log was reset"
            raise LogError("log_behind_table", message)
        resumed = self.position is not None and offset == offset_of(self.position)
        unit = (self.position or 0) & FINAL_UNIT
        self._jobs.append(_Job(offset, key, size, unit + 1 if resumed else 0))
        self._admitted = offset
        return self.full

    def start(self) -> list[Start]:
        """Jobs that may start now: none with the same key is before them in the window."""
        busy: set[str] = set()
        starts = []
        for job in self._jobs:
            if not job.started and job.key not in busy:
                job.started = True
                starts.append(Start(job.offset, job.unit))
            busy.add(job.key)
        return starts

    def complete(self, offset: int, unit: int, item: T, size: int = 0, *, final: bool) -> None:
        """Say that a unit is done, with its rows or with its failure."""
        job = next(job for job in self._jobs if job.offset == offset)
        if unit < job.unit or unit in job.done or (job.last is not None and unit > job.last):
            message = f"offset {offset}: unit {unit} was done before, or is behind the final one"
            raise ValueError(message)
        job.done[unit] = (item, size)
        if final:
            job.last = unit

    def ready(self) -> list[Done[T]]:
        """The contiguous run of done units behind the position, in order."""
        run: list[Done[T]] = []
        for job in self._jobs:
            unit = job.unit
            while unit in job.done:
                place = position_of(job.offset, unit, final=unit == job.last)
                run.append(Done(place, job.done[unit][0]))
                unit += 1
            if job.last is None or unit <= job.last:
                break
        return run

    def landed(self, position: int) -> None:
        """Forget the units up to a position, which `ready` has given.

        Raises:
            ValueError: `ready` does not hold it.
        """
        if position not in [done.position for done in self.ready()]:
            message = f"position {position} is not the end of a run behind {self.position}"
            raise ValueError(message)
        while self._jobs and self._jobs[0].offset < offset_of(position):
            self._jobs.popleft()
        job = self._jobs[0]
        landed = job.number(position)
        for unit in range(job.unit, landed + 1):
            del job.done[unit]
        job.unit = landed + 1
        if is_final(position):
            self._jobs.popleft()
        self.position = position

"""Window: which parts of a partition may land next, and from where to read on after a restart.

Work completes out of order and lands in order, up to the low watermark. A window belongs to one
assignment of one partition; it has no clock, no threads and no I/O.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from schemas.errors import SetupError

PART_BITS: Final = 20
FINAL_PART: Final = (1 << PART_BITS) - 1
"""The final part of every job has this number in positions, so that the position alone says whether
the job goes on."""

T = TypeVar("T")


class LogError(SetupError):
    """The partition's log is not the one whose records landed; stop it and never skip."""


def position_of(offset: int, part: int, *, final: bool) -> int:
    """Position of a part in the tables: `offset << 20 | part`; a final part has all 20 bits set.

    Raises:
        ValueError: the job has more parts than a position can count.
    """
    if not 0 <= part < FINAL_PART:
        message = f"part {part}: a job has at most {FINAL_PART} parts; split it into ranges"
        raise ValueError(message)
    return offset << PART_BITS | (FINAL_PART if final else part)


def offset_of(position: int) -> int:
    """Offset of the record whose part is at a position."""
    return position >> PART_BITS


def is_final(position: int) -> bool:
    """Whether the job at a position has landed to its end."""
    return position & FINAL_PART == FINAL_PART


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
    check_kept(wanted, log_start)
    return max(last, log_start)


def check_kept(wanted: int, log_start: int) -> None:
    """Compare the record that comes next with the first that the broker keeps.

    Raises:
        LogError: `retention_gap`.
    """
    if wanted < log_start:
        message = (
            f"offset {wanted} comes next, but the log starts at {log_start}: records expired "
            "unread; raise the topic's retention, then submit the media again under a new group"
        )
        raise LogError("retention_gap", message)


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
    """A job that may start, from a part on: those before it have landed."""

    offset: int
    first_part: int


@dataclass(frozen=True)
class Done(Generic[T]):
    """A part whose turn to land has come."""

    position: int
    item: T


@dataclass
class _Job(Generic[T]):
    offset: int
    key: str
    size: int
    part: int  # the next one to land
    started: bool = False
    last: int | None = None
    done: dict[int, tuple[T, int]] = field(default_factory=dict)

    def bytes_held(self) -> int:
        return self.size + sum(size for _, size in self.done.values())

    def number(self, position: int) -> int:
        if not is_final(position):
            return position & FINAL_PART
        assert self.last is not None
        return self.last


class Window(Generic[T]):
    """Jobs of one partition between the poll and the tables."""

    def __init__(self, position: int | None, *, records: int) -> None:
        """Start behind the table's position.

        Args:
            position: the last that landed, or None.
            records: jobs held at most.
        """
        self.position = position
        self._records = records
        self._jobs: deque[_Job[T]] = deque()
        self._admitted = -1 if position is None else next_offset(position) - 1

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def full(self) -> bool:
        """Whether the partition has to pause."""
        return len(self._jobs) >= self._records

    @property
    def bytes_held(self) -> int:
        """Bytes of all jobs and of the parts that wait for their turn."""
        return sum(job.bytes_held() for job in self._jobs)

    def is_oldest(self, offset: int) -> bool:
        """Whether a job is the one that everything behind it waits for."""
        return bool(self._jobs) and self._jobs[0].offset == offset

    @property
    def committed(self) -> int:
        """Kafka's committed offset: every record before it has landed to its end."""
        return self._jobs[0].offset if self._jobs else self._admitted + 1

    @property
    def at_rest(self) -> bool:
        """Whether every job has made its last part."""
        return all(job.last is not None for job in self._jobs)

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
        part = (self.position or 0) & FINAL_PART
        self._jobs.append(_Job(offset, key, size, part + 1 if resumed else 0))
        self._admitted = offset
        return self.full

    def startable(self) -> list[Start]:
        """Jobs that may start now, in order.

        None with the same key is before them, and all that they made before has landed: so they
        find in the tables and markers exactly what they have done.
        """
        busy: set[str] = set()
        starts = []
        for job in self._jobs:
            if not job.started and not job.done and job.key not in busy:
                starts.append(Start(job.offset, job.part))
            busy.add(job.key)
        return starts

    def start(self, offset: int) -> None:
        """A job is being worked on."""
        self._job(offset).started = True

    def put_back(self, offset: int) -> None:
        """A job is not worked on any more, though it has not ended."""
        self._job(offset).started = False

    def complete(self, offset: int, part: int, item: T, size: int = 0, *, final: bool) -> None:
        """Say that a part is done, with its rows or with its failure."""
        job = self._job(offset)
        if part < job.part or part in job.done or (job.last is not None and part > job.last):
            message = f"offset {offset}: part {part} was done before, or is behind the final one"
            raise ValueError(message)
        job.done[part] = (item, size)
        if final:
            job.last = part

    def ready(self) -> list[Done[T]]:
        """The contiguous run of done parts behind the position, in order."""
        run: list[Done[T]] = []
        for job in self._jobs:
            part = job.part
            while part in job.done:
                place = position_of(job.offset, part, final=part == job.last)
                run.append(Done(place, job.done[part][0]))
                part += 1
            if job.last is None or part <= job.last:
                break
        return run

    def landed(self, position: int) -> None:
        """Forget the parts up to a position, which `ready` has given.

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
        for part in range(job.part, landed + 1):
            del job.done[part]
        job.part = landed + 1
        if is_final(position):
            self._jobs.popleft()
        self.position = position

    def _job(self, offset: int) -> _Job[T]:
        return next(job for job in self._jobs if job.offset == offset)

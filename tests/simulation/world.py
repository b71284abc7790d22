"""World: models of what workers share: tables, objects, a topic's partitions, a group."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

from pipeline.land.protocol import LEDGER
from pipeline.land.window import LogError, offset_of

if TYPE_CHECKING:
    from tests.simulation.lander import Lander

Row = tuple[Any, ...]
Process = Generator[float, None, None]


class Owner(Protocol):
    """What a crash ends and a pause stops: all its processes at once."""

    name: str
    alive: bool
    asleep_until: float


class Clock(Protocol):
    """What workers and landers ask of the simulator."""

    now: float
    random: Random

    def spawn(self, owner: Owner, process: Process) -> None: ...
    def fault(self, kind: str) -> bool: ...
    def trace(self, text: str) -> None: ...


def app_of(partition: int) -> str:
    """Application id of a partition."""
    return f"g/t/{partition}"


class StoreError(Exception):
    """An effect failed; it may have happened or not."""


class Table:
    """A Delta table, as far as landing sees it.

    A handle is a version. A commit through a handle is refused if a commit behind that version
    carries one of its application ids, and else goes behind the newest (deltalake, measured). The
    log itself never compares positions.
    """

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.version = 0
        self.history: dict[str, list[tuple[int, int]]] = {}  # app -> (version, position)

    def position(self, app: str, version: int) -> int | None:
        for at, position in reversed(self.history.get(app, [])):
            if at <= version:
                return position
        return None

    def commit(self, handle: int, positions: Mapping[str, int], rows: list[Row]) -> bool:
        if any(self.history.get(app, [(0, 0)])[-1][0] > handle for app in positions):
            return False
        self.version += 1
        for app, position in positions.items():
            self.history.setdefault(app, []).append((self.version, position))
        self.rows += rows
        return True


@dataclass(frozen=True)
class Job:
    """One record: a medium or a range of it.

    Attributes:
        media: medium.
        part: range of units, "whole" or e.g. "0-3".
        first: number of its first unit.
        units: how many.
        tasks: prompts.
        parts: all ranges of the medium.
        stamp: time of the record; no two have the same.
        poison: unit that fails, or -1.
        attempt: 0, or one more than that of the failure that it retries.
        cure: attempt from which on the unit does not fail any more.
    """

    media: str
    part: str
    first: int
    units: int
    tasks: tuple[str, ...]
    parts: tuple[str, ...]
    stamp: int
    poison: int = -1
    attempt: int = 0
    cure: int = 99

    @property
    def key(self) -> str:
        return f"{self.media}/{self.part}"

    @property
    def mark(self) -> str:
        """What tells this record from one of another log."""
        return f"{self.key}@{self.stamp}"

    @property
    def columns(self) -> tuple[str, ...]:
        """What it makes rows of, each with a marker of its own."""
        return ("structure", *self.tasks)


@dataclass
class Log:
    """One partition of the topic."""

    records: list[Job] = field(default_factory=list)
    start: int = 0

    @property
    def end(self) -> int:
        return len(self.records)

    def read(self, offset: int, count: int) -> list[tuple[int, Job]]:
        if not self.start <= offset <= self.end:
            message = f"offset {offset} out of range {self.start}..{self.end}"
            raise LogError("log_behind_table", message)
        stop = min(offset + count, self.end)
        return [(place, self.records[place]) for place in range(offset, stop)]


class Group:
    """Membership and assignment.

    A member learns of a rebalance at its next poll, while the new owners already work: more
    overlap than a broker allows.
    """

    def __init__(self, partitions: int, session: float, *, eager: bool) -> None:
        self.eager, self.generation = eager, 0
        self._partitions, self._session = partitions, session
        self._seen: dict[str, float] = {}
        self.owners: dict[int, str] = {}
        self.committed: dict[int, int] = {}

    def poll(self, member: str, now: float) -> tuple[int, set[int], bool]:
        """Heartbeat; return the generation, the member's partitions, and whether it was out."""
        known = member in self._seen
        self._seen[member] = now
        self._expire(now)
        if not known:
            self._rebalance()
        mine = {p for p, owner in self.owners.items() if owner == member}
        return self.generation, mine, not known

    def leave(self, member: str) -> None:
        if self._seen.pop(member, None) is not None:
            self._rebalance()

    def expel_all(self) -> None:
        """What a topic that was deleted does to its consumers."""
        for member in list(self._seen):
            self.leave(member)

    def _expire(self, now: float) -> None:
        late = [member for member, at in self._seen.items() if now - at > self._session]
        for member in late:
            self.leave(member)

    def _rebalance(self) -> None:
        self.generation += 1
        members = sorted(self._seen)
        if not members:
            return
        if self.eager:
            self.owners = {p: members[p % len(members)] for p in range(self._partitions)}
            return
        most = -(-self._partitions // len(members))
        load = dict.fromkeys(members, 0)
        kept: dict[int, str] = {}
        for partition, owner in self.owners.items():
            if owner in load and load[owner] < most:
                kept[partition] = owner
                load[owner] += 1
        for partition in range(self._partitions):
            if partition not in kept:
                kept[partition] = min(members, key=lambda member: (load[member], member))
                load[kept[partition]] += 1
        self.owners = kept

    def commit(self, member: str, generation: int, partition: int, offset: int) -> None:
        """Keep an offset, from a member of this generation that owns the partition only."""
        if generation == self.generation and self.owners.get(partition) == member:
            self.committed[partition] = offset


class World:
    """All that outlives a worker."""

    def __init__(self, group: Group, logs: list[Log], *, control: str = "") -> None:
        names = ("failures", "segments", "frames", "pages", "answers", "media")
        self.tables = {name: Table() for name in names}
        self.objects: dict[str, Any] = {}
        self.group, self.logs = group, logs
        self.control = control
        self.stopped: dict[int, str] = {}
        self.problems: list[str] = []
        self.landers: list[Lander] | None = (
            None  # those that ran or run; None where workers commit themselves
        )
        self.shared = 0  # commits with the intents of several workers

    def commit(self, name: str, handle: int, positions: Mapping[str, int], rows: list[Row]) -> bool:
        """Commit to a table, and watch that `media` says nothing too early."""
        stored = self.tables[name].commit(handle, positions, rows)
        if stored and name == "media":
            for media, units in rows:
                there = sum(row[0] == media for row in self.tables["frames"].rows)
                if there != units:
                    self.problems.append(f"media: {media} landed when {there} of {units} had")
        return stored

    def unfinished(self, partition: int) -> str:
        """What a partition has left to do, or nothing."""
        if partition in self.stopped:
            return ""
        log, ledger = self.logs[partition], self.tables[LEDGER]
        position = ledger.position(app_of(partition), ledger.version)
        if position is not None and offset_of(position) >= log.end:
            return f"partition {partition}: the log ends before the position, and it goes on"
        done = max(self.group.committed.get(partition, 0), log.start)
        return "" if done >= log.end else f"partition {partition}: {done} of {log.end} are done"

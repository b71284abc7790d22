"""World: models of what workers share: tables, objects, a topic's partitions, a group."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Final, Protocol

from pipeline.land.protocol import FOLLOWERS, LEDGER
from pipeline.land.window import offset_of
from schemas.errors import TransientError
from schemas.jobs import Job
from services.topic.homes import home
from services.topic.record import Record
from tests.simulation.fiber import Process, sleep

if TYPE_CHECKING:
    from tests.simulation.lander import Lander

Row = dict[str, Any]
GROUP: Final = "g/t"
TABLES: Final = (LEDGER, *FOLLOWERS)


class Owner(Protocol):
    """What a crash ends and a pause stops: all its processes at once."""

    name: str
    alive: bool
    asleep_until: float


class Clock(Protocol):
    """What workers and landers ask of the simulator."""

    now: float
    random: Random

    def spawn(self, owner: Owner | None, process: Process) -> None: ...
    def fault(self, kind: str) -> bool: ...
    def trace(self, text: str) -> None: ...


def app_of(partition: int) -> str:
    """Application id of a partition."""
    return f"{GROUP}/{partition}"


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


class Store:
    """Objects, each with the number of the put that it comes from. Batches are kept as they are."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[Any, int]] = {}
        self._puts = 0

    def put(self, name: str, value: Any) -> None:  # noqa: ANN401 - bytes, or a batch
        self._puts += 1
        self._held[name] = (value, self._puts)

    def get(self, name: str) -> Any:  # noqa: ANN401
        return self._held.get(name, (None, 0))[0]

    def get_version(self, name: str) -> tuple[Any, str]:
        value, put = self._held.get(name, (None, 0))
        return value, str(put or "")

    def replace(self, name: str, data: bytes, version: str) -> bool:
        same = self.get_version(name)[1] == version
        if same:
            self.put(name, data)
        return same

    def delete(self, name: str) -> None:
        self._held.pop(name, None)

    def names(self, prefix: str) -> Iterator[str]:
        yield from sorted(name for name in self._held if name.startswith(prefix))


class Remote:
    """The store as a worker has it: calls take time, fail, and lose their replies."""

    def __init__(self, clock: Clock, store: Store) -> None:
        self._clock, self._store = clock, store

    def put(self, name: str, data: Any) -> None:  # noqa: ANN401
        self._go()
        self._store.put(name, data)
        self._reply()

    def get(self, name: str) -> Any:  # noqa: ANN401
        self._go()
        return self._store.get(name)

    def get_version(self, name: str) -> tuple[Any, str]:
        self._go()
        return self._store.get_version(name)

    def replace(self, name: str, data: bytes, version: str) -> bool:
        self._go()
        same = self._store.replace(name, data, version)
        self._reply()
        return same

    def delete(self, name: str) -> None:
        self._go()
        self._store.delete(name)
        self._reply()

    def names(self, prefix: str) -> Iterator[str]:
        self._go()
        return self._store.names(prefix)

    def _go(self) -> None:
        sleep(self._clock.random.expovariate(20.0))
        if self._clock.fault("error"):
            raise store_failed()

    def _reply(self) -> None:
        if self._clock.fault("lost"):
            raise store_failed()


def store_failed() -> TransientError:
    """An effect failed; it may have happened or not."""
    return TransientError("store_failed", "the store does not answer")


@dataclass
class Log:
    """One partition of the topic."""

    records: list[Record] = field(default_factory=list)
    start: int = 0

    @property
    def end(self) -> int:
        return len(self.records)

    def read(self, offset: int, count: int) -> list[Record]:
        """Records from an offset on; from the first one if that is out of range, as brokers do."""
        first = offset if self.start <= offset <= self.end else self.start
        return self.records[first : first + count]


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
    """All that outlives a worker.

    Attributes:
        sent: all jobs that were ever in the topic, with their partitions.
        nonsense: records that are no jobs.
        revision: of the model that is served.
        stopped: partitions that a worker reads no further, and why.
        landers: those that ran or run; None where workers commit themselves.
        counts: what happened, by its name.
    """

    def __init__(self, group: Group, logs: list[Log], *, control: str = "") -> None:
        self.tables = {name: Table() for name in TABLES}
        self.store = Store()
        self.store.put("lake.json", b"{}")
        self.group, self.logs = group, logs
        self.sent: list[tuple[int, Job]] = []
        self.nonsense: list[Record] = []
        self.control = control
        self.revision = 1
        self.stopped: dict[int, str] = {}
        self.problems: list[str] = []
        self.landers: list[Lander] | None = None
        self.counts: Counter[str] = Counter()
        self._stamps = 0

    def commit(self, name: str, handle: int, positions: Mapping[str, int], rows: list[Row]) -> bool:
        """Commit to a table, and watch that `media` says nothing too early."""
        stored = self.tables[name].commit(handle, positions, rows)
        if stored and name == "media":
            for row in rows:
                self._check_whole(row)
        return stored

    def send(self, key: str, job: Job, partition: int | None = None) -> None:
        """Put a job on the topic, at its home unless a partition is named."""
        number = home(key, job, len(self.logs)) if partition is None else partition
        self.sent.append((number, job))
        self._append(number, key, job.to_json().encode())

    def send_nonsense(self, partition: int) -> None:
        """Put a record on the topic that is no job."""
        self.nonsense.append(self._append(partition, "nonsense", b"{}"))

    def _append(self, partition: int, key: str, value: bytes) -> Record:
        self._stamps += 1
        log = self.logs[partition]
        log.records.append(Record(partition, log.end, key, self._stamps, value))
        return log.records[-1]

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

    def _check_whole(self, row: Row) -> None:
        table, wanted = ("frames", row["frames"])
        if row["kind"] != "video":
            table, wanted = "pages", row["pages"] - row["failed_pages"]
        there = sum(one["media_id"] == row["media_id"] for one in self.tables[table].rows)
        if there < wanted:
            name = row["name"]
            self.problems.append(f"media: {name} landed when {there} of {wanted} {table} had")

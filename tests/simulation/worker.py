"""Worker: an ingest worker on the virtual clock. It runs the real window and the real protocol.

It stands for a poller, slots of work and one thread that lands, each a generator that yields the
seconds until its next step. A crash drops them all between any two steps.
"""

from collections.abc import Generator
from typing import Any

from pipeline.land.protocol import (
    Commit,
    Delete,
    Effect,
    Get,
    Look,
    Protocol,
    Put,
    Resumed,
    Steps,
)
from pipeline.land.window import (
    LogError,
    Window,
    check_same_log,
    is_final,
    offset_of,
    seek_to,
)
from schemas.errors import TransientError
from tests.simulation.controls import Independent
from tests.simulation.lander import Asked, Lander
from tests.simulation.results import Result, batch_of, marker_name, media_row
from tests.simulation.world import Clock, Job, Process, StoreError, World, app_of

RECORDS, BYTES, ATTEMPTS = 4, 12, 3
PATIENCE_S = 4.0


class Worker:
    """One process; a restart is a new one under another name."""

    def __init__(self, name: str, clock: Clock, world: World) -> None:
        self.name, self.alive, self.asleep_until = name, True, 0.0
        self._clock, self._world = clock, world
        self._handles: dict[str, int] = {}
        self._seen: dict[str, dict[str, int | None]] = {}
        self._windows: dict[int, Window[Result]] = {}
        self._fetch: dict[int, int] = {}
        self._jobs: dict[int, dict[int, Job]] = {}
        self._expect: dict[int, Resumed] = {}
        self._mine: set[int] = set()
        self._generation = -1
        kind = Independent if world.control == "independent" else Protocol
        self._protocol = kind(media_row, [])

    def begin(self) -> None:
        self._clock.spawn(self, self._poll())
        self._clock.spawn(self, self._land())

    # The poller

    def _poll(self) -> Process:
        while True:
            generation, mine, was_out = self._world.group.poll(self.name, self._clock.now)
            if generation != self._generation:
                gone = self._mine if self._world.group.eager or was_out else self._mine - mine
                for partition in gone:
                    self._drop(partition)
                self._generation, self._mine = generation, mine
            for partition in sorted(mine):
                if partition not in self._windows:
                    continue
                self._commit_offset(partition)
                self._fetch_from(partition)
                yield 0.0
            yield self._clock.random.uniform(0.5, 1.5)

    def _commit_offset(self, partition: int) -> None:
        """At every poll, not once after a landing: a rebalance refuses commits."""
        window, group = self._windows[partition], self._world.group
        if window.position is not None:
            group.commit(self.name, self._generation, partition, window.committed)

    def _drop(self, partition: int) -> None:
        if self._windows.pop(partition, None):
            self._clock.trace(f"{self.name} drops partition {partition}")

    def _fetch_from(self, partition: int) -> None:
        window = self._windows[partition]
        log = self._world.logs[partition]
        try:
            if window.full:
                return
            for offset, job in log.read(self._fetch[partition], self._clock.random.randint(1, 3)):
                landed = self._expect[partition]
                if offset_of(landed.position) == offset and landed.key:
                    check_same_log(landed.key, job.mark, offset)
                if not window.has_landed(offset):
                    window.admit(offset, job.key, size=2)
                    self._jobs[partition][offset] = job
                self._fetch[partition] = offset + 1
        except LogError as error:
            self._drop(partition)
            if error.code == "log_replaced":
                self._stop(partition, error)
            return  # else an old view, perhaps: resuming tells
        self._start_jobs(partition, window)

    def _stop(self, partition: int, error: LogError) -> None:
        self._clock.trace(f"{self.name} partition {partition}: {error.code} {error}")
        self._world.stopped[partition] = error.code

    def _start_jobs(self, partition: int, window: Window[Result]) -> None:
        for start in window.start():
            job = self._jobs[partition][start.offset]
            work = self._work(partition, window, start.offset, job, start.first_unit)
            self._clock.spawn(self, work)

    # The work

    def _work(
        self, partition: int, window: Window[Result], offset: int, job: Job, first: int
    ) -> Process:
        held: dict[str, int] = {}
        for column in job.columns:
            yield self._clock.random.uniform(0, 0.2)
            marker = self._world.objects.get(marker_name(job.key, column))
            if marker is None:
                held[column] = 0
            elif marker.outcome == "failed" and marker.attempt >= job.attempt:
                held = {}  # a known failure
                break
            elif marker.outcome == "failed":
                held[column] = marker.units
        if not held:
            window.complete(offset, first, Result(job, first, held), final=True)
            return
        for unit in range(first, job.units):
            while not window.may_go_on(offset):
                yield 1.0
                if self._windows.get(partition) is not window:
                    return
            done = unit < min(held.values())
            failed = not done and (yield from self._attempts(job, unit))
            self._clock.trace(f"{self.name} {partition}@{offset}.{unit} {job.key} failed={failed}")
            last = failed or unit == job.units - 1
            window.complete(offset, unit, Result(job, unit, held, failed), size=3, final=last)
            if last:
                return

    def _attempts(self, job: Job, unit: int) -> Generator[float, None, bool]:
        poisoned = unit == job.poison and job.attempt < job.cure
        for attempt in range(ATTEMPTS):
            yield self._clock.random.expovariate(1.0) * 2**attempt
            if not poisoned and not self._clock.fault("work"):
                return False
        return True

    # The landing

    def _land(self) -> Process:
        while True:
            for partition in sorted(self._mine - set(self._world.stopped)):
                if partition not in self._windows:
                    yield from self._resume(partition)
                elif self._windows[partition].ready():
                    yield from self._land_run(partition, self._windows[partition])
            yield self._clock.random.uniform(0.1, 1.0)

    def _resume(self, partition: int) -> Process:
        try:
            steps = self._protocol.resume(app_of(partition))
            resumed = yield from self._perform(steps)
        except (StoreError, TransientError):
            yield 1.0
            return
        position = None if resumed is None else resumed.position
        log = self._world.logs[partition]
        try:
            self._fetch[partition] = seek_to(position, log.start, log.end)
        except LogError as error:
            self._stop(partition, error)
            return
        self._clock.trace(f"{self.name} resumes partition {partition} behind {show(position)}")
        self._expect[partition] = resumed or Resumed(-1, "")
        self._jobs[partition] = {}
        self._windows[partition] = Window(position, records=RECORDS, size=BYTES)

    def _land_run(self, partition: int, window: Window[Result]) -> Process:
        run = window.ready()
        most = 1 if self._world.control == "independent" else len(run)
        run = run[: self._clock.random.randint(1, most)]
        number = self._clock.random.randint(1, 2**63 - 1)
        batch = batch_of(partition, window.position, run, number)
        while True:
            try:
                landed = yield from self._perform(self._protocol.land(batch))
                break
            except (StoreError, TransientError):
                yield 1.0
        self._clock.trace(f"{self.name} {partition}: {show(batch.last)} landed={landed}")
        if not landed:
            if self._windows.get(partition) is window:
                self._drop(partition)
            return
        window.landed(batch.last)
        if self._windows.get(partition) is window:
            self._start_jobs(partition, window)

    def _perform(self, steps: Steps[Any]) -> Generator[float, None, Any]:
        """Run effects, with time, faults and crashes between any two."""
        reply: Any = None
        try:
            effect = next(steps)
            while True:
                yield self._clock.random.expovariate(10.0)
                self._clock.trace(f"{self.name}   {describe(effect)}")
                try:
                    reply = yield from self._effect(effect)
                except StoreError as error:
                    effect = steps.throw(error)
                    continue
                effect = steps.send(reply)
        except StopIteration as stop:
            return stop.value

    def _effect(self, effect: Effect) -> Generator[float, None, Any]:
        match effect:
            case Commit():
                own = self._commit if self._world.landers is None else self._ask
                done = yield from own(effect)
                yield self._clock.random.expovariate(10.0)
                return done
            case Look():
                return (yield from self._look(effect))
            case _:
                return self._object(effect)

    def _object(self, effect: Put | Get | Delete) -> object:
        objects = self._world.objects
        if self._clock.fault("error"):
            raise StoreError
        match effect:
            case Get(name):
                return objects.get(name)
            case Put(name, value):
                objects[name] = value
            case Delete(name):
                objects.pop(name, None)
        if self._clock.fault("lost"):
            raise StoreError
        return None

    def _look(self, effect: Look) -> Generator[float, None, dict[str, int | None]]:
        if self._clock.fault("error"):
            raise StoreError
        if self._world.landers is None:
            table = self._world.tables[effect.table]
            if effect.reload or effect.table not in self._handles:
                self._handles[effect.table] = table.version
            handle = self._handles[effect.table]
            return {app: table.position(app, handle) for app in effect.apps}
        lander = self._some_lander()
        while not lander.may_look(effect.table) and lander.alive:
            yield 0.1
        self._seen[effect.table] = lander.look(effect.table, effect.apps, reload=effect.reload)
        return self._seen[effect.table]

    def _commit(self, effect: Commit) -> Generator[float, None, bool]:
        """Through a handle of this worker's own."""
        yield 0.0
        if self._clock.fault("error"):
            return False
        table = self._world.tables[effect.table]
        handle = table.version if self._world.control == "uri" else self._handles[effect.table]
        stored = self._world.commit(effect.table, handle, effect.positions, effect.rows)
        self._clock.trace(f"{self.name}     stored={stored}")
        if not stored or self._clock.fault("lost"):
            return False
        self._handles[effect.table] = table.version
        return True

    def _ask(self, effect: Commit) -> Generator[float, None, bool]:
        """Through a lander. Whoever gives up leaves his intent there: it may be written later."""
        if self._clock.fault("error"):
            raise StoreError
        lander = self._some_lander()
        expected = {app: self._seen[effect.table][app] for app in effect.positions}
        asked = Asked(expected, effect.positions, effect.rows, effect.table)
        lander.ask(asked)
        patience = self._clock.now + PATIENCE_S
        while not asked.answers:
            if not lander.alive or self._clock.now > patience:
                raise StoreError
            yield 0.3
        if asked.answers[0] is None or self._clock.fault("lost"):
            raise StoreError
        return asked.answers[0]

    def _some_lander(self) -> Lander:
        landers = [lander for lander in self._world.landers or () if lander.alive]
        if not landers:
            raise StoreError
        return self._clock.random.choice(landers)


def show(position: int | None) -> str:
    if position is None:
        return "the beginning"
    return f"{offset_of(position)}.{'end' if is_final(position) else position & 0xFFFFF}"


def describe(effect: Effect) -> str:
    match effect:
        case Look(table, apps, reload):
            return f"look {table} {apps[0]} reload={reload}"
        case Commit(table, positions, rows):
            return f"commit {table} {next(iter(positions))} {rows}"
        case Put(name) | Get(name) | Delete(name):
            return f"{type(effect).__name__.lower()} {name}"

"""Lander: committers on the virtual clock, of a worker or for many. They run the real `settle`."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pipeline.land.group import Intent, Read, Step, Wait, Write, positions_of, settle, take
from pipeline.land.protocol import Rows
from schemas.errors import TransientError
from tests.simulation.fiber import Process, sleep
from tests.simulation.world import Clock, World, store_failed

_PATIENCE_S: Final = 4.0
Expected = Mapping[str, int | None]
Held = dict[str, int | None]
Settled = list[bool | None]


class Handles:
    """A handle for each table, in one process."""

    def __init__(self, clock: Clock, world: World) -> None:
        self._clock, self._world = clock, world
        self._versions: dict[str, int] = {}
        self.locked = ""  # the table whose handle has been checked and is about to be written

    def look(self, table: str, apps: Sequence[str], *, reload: bool) -> Held:
        found = self._world.tables[table]
        if reload or table not in self._versions:
            self._versions[table] = found.version
        return {app: found.position(app, self._versions[table]) for app in apps}

    def settle(self, table: str, group: Sequence[Intent]) -> Generator[float, None, Settled]:
        steps = settle(group)
        reply: object = None
        self.locked = table
        try:
            while True:
                step = steps.send(reply)
                yield self._clock.random.expovariate(1.5)
                reply = self._perform(table, step)
                self.locked = "" if isinstance(step, Wait) else table
        except StopIteration as stop:
            self.locked = ""
            settled: Settled = stop.value
            return settled

    def _perform(self, table: str, step: Step) -> object:
        if isinstance(step, Wait):
            return None
        if self._clock.fault("error"):
            return None
        if isinstance(step, Read):
            return self.look(table, sorted(step.apps), reload=step.reload)
        return self._write(table, step)

    def _write(self, table: str, step: Write) -> bool:
        found, rows = self._world.tables[table], [row for one in step.intents for row in one.rows]
        handle = found.version if self._world.control == "uri" else self._versions[table]
        stored = self._world.commit(table, handle, positions_of(step.intents), rows)
        self._clock.trace(f"  {len(step.intents)} written to {table}: stored={stored}")
        self._world.counts["shared"] += stored and len(step.intents) > 1
        if not stored or self._clock.fault("lost"):
            return False
        self._versions[table] = found.version
        return True


class OwnTables:
    """The tables of a worker that commits itself; see `pipeline.land.commit.Tables`."""

    def __init__(self, clock: Clock, world: World) -> None:
        self._clock, self._handles = clock, Handles(clock, world)

    def look(self, table: str, apps: Sequence[str], *, reload: bool) -> Held:
        sleep(self._clock.random.expovariate(10.0))
        if self._clock.fault("error"):
            raise store_failed()
        return self._handles.look(table, apps, reload=reload)

    def commit(
        self, table: str, expected: Expected, positions: Mapping[str, int], file: Rows
    ) -> bool:
        steps = self._handles.settle(table, [_intent(expected, positions, file)])
        try:
            while True:
                sleep(next(steps))
        except StopIteration as stop:
            return _acknowledged(stop.value[0], table)


@dataclass(frozen=True, eq=False)
class Asked(Intent):
    """An intent that a worker waits for; the worker may have given up meanwhile."""

    table: str = ""
    answers: Settled = field(default_factory=list)


class Lander:
    """One process; a restart is a new one."""

    def __init__(self, name: str, clock: Clock, world: World) -> None:
        self.name, self.alive, self.asleep_until = name, True, 0.0
        self._clock, self._world = clock, world
        self.handles = Handles(clock, world)
        self._queue: list[Asked] = []

    def begin(self) -> None:
        self._clock.spawn(self, self._run())

    def may_look(self, table: str) -> bool:
        """Whether a look would not come between a check and its write."""
        return self.handles.locked != table or self._world.control == "unlocked"

    def ask(self, asked: Asked) -> None:
        self._queue.append(asked)

    def _run(self) -> Process:
        while True:
            yield self._clock.random.uniform(0.2, 1.2)
            for table in dict.fromkeys(asked.table for asked in self._queue):
                group = take([asked for asked in self._queue if asked.table == table])
                self._queue = [asked for asked in self._queue if asked not in group]
                answers = yield from self.handles.settle(table, group)
                for asked, known in zip(group, answers, strict=True):
                    asked.answers.append(known)


class LanderTables:
    """The tables of a worker that asks landers; see `services.lander.client.LanderClient`.

    Whoever gives up leaves his intent there: it may be written later.
    """

    def __init__(self, clock: Clock, world: World) -> None:
        self._clock, self._world = clock, world

    def look(self, table: str, apps: Sequence[str], *, reload: bool) -> Held:
        sleep(self._clock.random.expovariate(10.0))
        lander = self._some_lander()
        while not lander.may_look(table) and lander.alive:
            sleep(0.1)
        return lander.handles.look(table, apps, reload=reload)

    def commit(
        self, table: str, expected: Expected, positions: Mapping[str, int], file: Rows
    ) -> bool:
        sleep(self._clock.random.expovariate(10.0))
        lander = self._some_lander()
        asked = Asked(**vars(_intent(expected, positions, file)), table=table)
        lander.ask(asked)
        patience = self._clock.now + _PATIENCE_S
        while not asked.answers:
            if not lander.alive or self._clock.now > patience:
                raise _lander_failed()
            sleep(0.3)
        if self._clock.fault("lost"):
            raise _lander_failed()
        return _acknowledged(asked.answers[0], table)

    def _some_lander(self) -> Lander:
        landers = [lander for lander in self._world.landers or () if lander.alive]
        if not landers or self._clock.fault("error"):
            raise _lander_failed()
        return self._clock.random.choice(landers)


def _intent(expected: Expected, positions: Mapping[str, int], rows: Rows) -> Intent:
    return Intent({app: expected[app] for app in positions}, positions, rows)


def _acknowledged(answer: bool | None, table: str) -> bool:
    if answer is None:
        raise TransientError("commit_conflict", f"{table}: no attempt was acknowledged")
    return answer


def _lander_failed() -> TransientError:
    return TransientError("lander_failed", "the lander does not answer")

"""Lander: a group committer on the virtual clock. It runs the real `settle`."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

from pipeline.land.group import Intent, Read, Step, Wait, Write, positions_of, settle, take
from tests.simulation.world import Clock, Process, World


@dataclass(frozen=True, eq=False)
class Asked(Intent):
    """An intent that a worker waits for; the worker may have given up meanwhile."""

    table: str = ""
    answers: list[bool | None] = field(default_factory=list)


class Lander:
    """One process: a handle and a lock for each table; a restart is a new one."""

    def __init__(self, name: str, clock: Clock, world: World) -> None:
        self.name, self.alive, self.asleep_until = name, True, 0.0
        self._clock, self._world = clock, world
        self._handles: dict[str, int] = {}
        self._queue: list[Asked] = []
        self._locked = ""  # the table whose handle has been checked and is about to be written

    def begin(self) -> None:
        self._clock.spawn(self, self._run())

    def may_look(self, table: str) -> bool:
        """Whether a look would not come between a check and its write."""
        return self._locked != table or self._world.control == "unlocked"

    def look(self, table: str, apps: Sequence[str], *, reload: bool) -> dict[str, int | None]:
        found = self._world.tables[table]
        if reload or table not in self._handles:
            self._handles[table] = found.version
        return {app: found.position(app, self._handles[table]) for app in apps}

    def ask(self, asked: Asked) -> None:
        self._queue.append(asked)

    def _run(self) -> Process:
        while True:
            yield self._clock.random.uniform(0.2, 1.2)
            for table in dict.fromkeys(asked.table for asked in self._queue):
                group = take([asked for asked in self._queue if asked.table == table])
                self._queue = [asked for asked in self._queue if asked not in group]
                answers = yield from self._settle(table, group)
                for asked, known in zip(group, answers, strict=True):
                    asked.answers.append(known)

    def _settle(self, table: str, group: list[Asked]) -> Generator[float, None, list[bool | None]]:
        steps = settle(group)
        reply: object = None
        self._locked = table
        try:
            while True:
                step = steps.send(reply)
                yield self._clock.random.expovariate(10.0)
                reply = self._perform(table, step)
                self._locked = "" if isinstance(step, Wait) else table
        except StopIteration as stop:
            self._locked = ""
            answers: list[bool | None] = stop.value
            return answers

    def _perform(self, table: str, step: Step) -> object:
        if isinstance(step, Wait):
            return None
        if self._clock.fault("error"):
            return None
        if isinstance(step, Read):
            return self.look(table, sorted(step.apps), reload=step.reload)
        return self._write(table, step)

    def _write(self, table: str, step: Write) -> bool:
        rows = [row for intent in step.intents for row in intent.rows]
        positions = positions_of(step.intents)
        stored = self._world.commit(table, self._handles[table], positions, rows)
        self._clock.trace(f"{self.name}   writes {len(step.intents)} to {table} stored={stored}")
        self._world.shared += stored and len(step.intents) > 1
        if not stored or self._clock.fault("lost"):
            return False
        self._handles[table] = self._world.tables[table].version
        return True

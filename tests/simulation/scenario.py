"""Scenario: what is sent in a run, who works on it, and what happens to them."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from typing import Final, Literal, Protocol

from pipeline.land.place import Place
from pipeline.land.protocol import LEDGER
from schemas.jobs import Job
from services.inspect.failures import retries
from tests.simulation.fiber import Process
from tests.simulation.index import IndexRun
from tests.simulation.lander import Lander
from tests.simulation.media import SENDERS, TASKS, Library, make
from tests.simulation.stream import StreamWorker
from tests.simulation.world import Clock, Group, Log, Owner, World

Phase = Literal["stream", "index"]

FAULTY_S, SESSION_S = 60.0, 8.0
_MEDIA: Final = 7  # few, so that many are sent more than once
_PHASES: Final[tuple[tuple[Phase, ...], ...]] = (
    ("stream",),
    ("index", "stream"),
    ("stream", "index"),
    ("stream", "index", "stream"),
    ("index", "stream", "index"),
)
_TASKS: Final = ((), TASKS[:1], TASKS[1:], TASKS)


class Director(Clock, Protocol):
    """The clock, as the scenario has it."""

    calm_at: float
    seed: int
    faults: Counter[str]


class Scenario:
    """A folder's lake, on which a topic's workers and runs of `index` work in turn.

    Attributes:
        world: outside of workers.
        library: all media.
        broken: partitions whose log has lost records, with its end then, or -1 where that stayed.
        ended: jobs of runs of `index` that came to their end.
        is_over: whether all has happened and all is done.
    """

    def __init__(self, clock: Director, control: str) -> None:
        self._clock, self._control = clock, control
        random = clock.random
        count = random.choice([1, 1, 2, 3])
        group = Group(count, SESSION_S, eager=random.choice([True, False]))
        self.world = World(group, [Log() for _ in range(count)], control=control)
        made = [make(n, Random(clock.seed * 100 + n)) for n in range(_MEDIA)]
        self.library = Library(clock, {medium.uri: medium for medium in made})
        self.broken: dict[int, int] = {}
        self.ended: list[Job] = []
        self.is_over = False
        self._phases = random.choice(_PHASES) if random.random() < 0.6 else _PHASES[0]
        if control == "unlocked":
            self._phases, group.eager = _PHASES[0], True
        self._landers = 2 if control == "unlocked" else random.choice([0, 1, 2])
        self._landers *= control in ("", "unlocked", "waiting", "back")
        self._staff: list[Owner] = []
        self._started = self._busy = 0

    @property
    def faults(self) -> Mapping[str, int]:
        """How many there were of each kind."""
        return self._clock.faults

    def run(self) -> Process:
        """All phases, one after the other: a folder belongs to one of them at a time."""
        random = self._clock.random
        if random.random() < 0.3:
            self._clock.spawn(None, self._change_model())
        if self._phases == ("stream",) and random.random() < 0.3:
            self._clock.spawn(None, self._break_log())
        for number, phase in enumerate(self._phases):
            self._clock.trace(f"phase {number}: {phase}")
            self._clock.calm_at = self._clock.now + FAULTY_S
            if phase == "index":
                yield from self._index(is_last=number == len(self._phases) - 1)
            else:
                yield from self._stream(is_last="stream" not in self._phases[number + 1 :])
        self.is_over = True

    def crash(self, owner: Owner) -> None:
        """End a worker or lander; another starts after a while, unless that is up to a user."""
        owner.alive = False
        if not isinstance(owner, IndexRun):
            again = self._start_lander if isinstance(owner, Lander) else self._start_worker
            self._clock.spawn(None, self._restart(again, self._staff))

    # The stream

    def _stream(self, *, is_last: bool) -> Process:
        self._staff = []
        for _ in range(self._landers):
            self._start_lander()
        for _ in range(self._clock.random.randint(1, 3)):
            self._start_worker()
        self._busy += 1
        self._clock.spawn(None, self._submit())
        patience = self._clock.now + (1e9 if is_last else self._clock.random.uniform(5, 60))
        while self._clock.now < patience and not self._is_done():
            yield 5.0
        if not is_last:
            while self._busy:
                yield 5.0
        for owner in self._staff:
            owner.alive = False
        self._staff = []

    def _is_done(self) -> bool:
        return not self._busy and not any(map(self.left, range(len(self.world.logs))))

    def left(self, partition: int) -> str:
        """What a partition has still to do, or nothing.

        That a log was cut may go unnoticed until its next record: who waits for one may have read
        the position before a paused worker landed what it still had of the old log.
        """
        is_still = self.broken.get(partition) == self.world.logs[partition].end
        return "" if is_still else self.world.unfinished(partition)

    def _start_worker(self) -> None:
        self._begin(StreamWorker(self._name("w"), self._clock, self.world, self.library))

    def _start_lander(self) -> None:
        lander = Lander(self._name("l"), self._clock, self.world)
        self.world.landers = [*(self.world.landers or ()), lander]
        self._begin(lander)

    def _begin(self, owner: StreamWorker | Lander) -> None:
        self._staff.append(owner)
        owner.begin()

    def _restart(self, again: Callable[[], None], staff: list[Owner]) -> Process:
        yield self._clock.random.uniform(0.5, 5)
        if staff is self._staff:
            again()

    def _name(self, kind: str) -> str:
        self._started += 1
        return f"{kind}{self._started}"

    # A run of index

    def _index(self, *, is_last: bool) -> Process:
        random = self._clock.random
        jobs = self._chosen()
        while jobs:
            run = IndexRun(self._name("i"), self._clock, self.world, self.library, jobs)
            run.begin()
            while run.alive:
                yield 1.0
            if run.finished:
                self.world.counts["indexed"] += 1
                self.ended += jobs
                return
            self._clock.trace(f"{run.name} has not finished")
            if not is_last and random.random() < 0.3:
                self.world.counts["left"] += 1
                return

    def _chosen(self) -> list[Job]:
        random = self._clock.random
        again = [job for _, job in self._failed()] if random.random() < 0.4 else []
        tasks = random.choice(_TASKS)
        media = random.sample(list(self.library.media.values()), random.randint(1, 4))
        return again or [replace(medium.job(tasks), chunk=None) for medium in media]

    # What is sent

    def _submit(self) -> Process:
        random = self._clock.random
        for _ in range(random.randint(3, 8)):
            yield random.expovariate(0.5)
            self._send()
        for _ in range(random.randint(0, 3)):
            yield random.uniform(5, 40)
            for key, job in self._failed():
                self.world.send(key, job)
                self.world.counts["retried"] += 1
        self._busy -= 1

    def _send(self) -> None:
        random = self._clock.random
        medium = random.choice(list(self.library.media.values()))
        key, job = medium.sent(random.choice(_TASKS), random.choice(SENDERS))
        elsewhere = random.randrange(len(self.world.logs)) if random.random() < 0.1 else None
        self.world.send(key, job, elsewhere)
        asked = [task.name for task in job.tasks]
        self._clock.trace(f"sent: {medium.name} {asked} to {self.world.sent[-1][0]}")
        if random.random() < 0.05:
            self.world.send_nonsense(random.randrange(len(self.world.logs)))

    def _failed(self) -> list[tuple[str, Job]]:
        """What `reelpage retry` makes of some failures, old ones too."""
        rows = self.world.tables[LEDGER].rows
        chosen = [row for row in rows if self._clock.random.random() < 0.7]
        self._clock.random.shuffle(chosen)
        found, _ = retries(Place("/lake", self.world.store), chosen)
        return found

    # What happens

    def _change_model(self) -> Process:
        yield self._clock.random.uniform(5, 60)
        self._clock.trace("the model changes")
        self.world.revision += 1

    def _break_log(self) -> Process:
        """Re-create the topic's partition, cut its tail off, or expire its head."""
        random = self._clock.random
        yield random.uniform(5, 50)
        partition = random.randrange(len(self.world.logs))
        log = self.world.logs[partition]
        how = random.choice(["again", "tail", "head"])
        self._clock.trace(f"the log of partition {partition} loses its {how}")
        if how == "head":
            log.start = random.randint(0, log.end)
            self.broken[partition] = -1
            return
        del log.records[0 if how == "again" else random.randint(0, log.end) :]
        self.broken[partition] = log.end
        self.world.group.expel_all()

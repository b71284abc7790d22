"""Simulator: one seed is one run: a topic, workers, faults, and the checks at its end."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

from pipeline.land.protocol import LEDGER
from schemas.errors import ReelpageError
from tests.simulation.check import check
from tests.simulation.lander import Lander
from tests.simulation.worker import Worker
from tests.simulation.world import Group, Job, Log, Owner, Process, World

FAULTY_S, END_S = 60.0, 2000.0
SESSION_S = 8.0


@dataclass(frozen=True)
class Outcome:
    """What a seed gave.

    Attributes:
        problems: what does not hold; empty if all does.
        events: steps of all processes.
        faults: how many of each kind.
        shared: commits with the intents of several workers.
        retried: failures that were sent again.
    """

    seed: int
    problems: list[str]
    events: int
    faults: dict[str, int]
    shared: int = 0
    retried: int = 0


@dataclass
class Simulator:
    """The virtual clock, the scheduler and the source of faults.

    Attributes:
        control: name of a protocol that must fail, or nothing.
        write: takes the lines of the trace.
    """

    seed: int
    control: str = ""
    write: Callable[[str], None] | None = None
    now: float = 0.0
    events: int = 0
    faults: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self._queue: list[tuple[float, int, Owner | None, Process]] = []
        self._count = self._started = self._stamps = self._retried = 0
        self._all_submitted = False
        pick = self.random.choice
        self._rates = {
            "error": pick([0, 0, 0.02, 0.1]),
            "lost": pick([0, 0.05, 0.2]),
            "work": pick([0, 0.1, 0.4]),
            "crash": pick([0, 0.002, 0.01]),
            "pause": pick([0, 0.01, 0.05]),
        }
        self._partitions = pick([1, 1, 2, 3])
        group = Group(self._partitions, SESSION_S, eager=pick([True, False]))
        logs = [Log() for _ in range(self._partitions)]
        self.world = World(group, logs, control=self.control)
        self._landers = 2 if self.control == "unlocked" else pick([0, 1, 2])
        self._landers *= self.control in ("", "unlocked")
        self.submitted: list[tuple[int, Job]] = []
        self.broken: dict[int, int] = {}

    def run(self) -> Outcome:
        """Run to the end and check."""
        for _ in range(self.random.randint(1, 3)):
            self._start_worker()
        for _ in range(self._landers):
            self._start_lander()
        self.spawn(None, self._submit())
        if self.random.random() < 0.15:
            self.spawn(None, self._break_log())
        try:
            self._loop()
        except (ReelpageError, ValueError, LookupError, RuntimeError) as error:
            return Outcome(self.seed, [repr(error)], self.events, self.faults)
        problems = check(self.world, self.submitted, self.broken)
        shared, retried = self.world.shared, self._retried
        return Outcome(self.seed, problems, self.events, self.faults, shared, retried)

    def _loop(self) -> None:
        while self._queue and self.now < END_S:
            at, _, owner, process = heapq.heappop(self._queue)
            if owner is not None and not owner.alive:
                continue
            if owner is not None and owner.asleep_until > at:
                self._push(owner.asleep_until, owner, process)
                continue
            self.now = at
            self._step(owner, process)
            if self.now > FAULTY_S and self.events % 50 == 0 and self._all_done():
                break

    def _step(self, owner: Owner | None, process: Process) -> None:
        self.events += 1
        try:
            delay = next(process)
        except StopIteration:
            return
        self._push(self.now + delay, owner, process)
        if owner is not None and self.fault("crash"):
            self.crash(owner)
        elif owner is not None and self.fault("pause"):
            length = self.random.uniform(1, 3 * SESSION_S)
            self.trace(f"{owner.name} is paused for {length:.1f} s")
            owner.asleep_until = self.now + length

    def _push(self, at: float, owner: Owner | None, process: Process) -> None:
        self._count += 1
        heapq.heappush(self._queue, (at, self._count, owner, process))

    def _all_done(self) -> bool:
        """Whether every partition has landed to its end, or is stopped, and all workers rest."""
        partitions = range(self._partitions)
        return self._all_submitted and not any(map(self.world.unfinished, partitions))

    # What workers ask for

    def spawn(self, owner: Owner | None, process: Process) -> None:
        """Start a process."""
        self._push(self.now, owner, process)

    def fault(self, kind: str) -> bool:
        """Whether a fault of a kind happens now; none does after a while, so that runs end."""
        if self.now > FAULTY_S or self.random.random() >= self._rates[kind]:
            return False
        self.faults[kind] = self.faults.get(kind, 0) + 1
        return True

    def crash(self, owner: Owner) -> None:
        """End a worker or lander; another starts after a while."""
        self.trace(f"{owner.name} crashes")
        owner.alive = False
        again = self._start_lander if isinstance(owner, Lander) else self._start_worker
        self.spawn(None, self._restart(again))

    def trace(self, text: str) -> None:
        """Say what happens."""
        if self.write is not None:
            self.write(f"{self.now:9.3f} {text}")

    # The scenario

    def _start_worker(self) -> None:
        self._started += 1
        Worker(f"w{self._started}", self, self.world).begin()

    def _start_lander(self) -> None:
        self._started += 1
        lander = Lander(f"l{self._started}", self, self.world)
        self.world.landers = [*(self.world.landers or ()), lander]
        lander.begin()

    def _restart(self, again: Callable[[], None]) -> Process:
        yield self.random.uniform(0.5, 5)
        again()

    def _submit(self) -> Process:
        for job in [job for _ in range(self.random.randint(3, 10)) for job in self._medium()]:
            yield self.random.expovariate(0.5)
            self._produce(job)
        for _ in range(self.random.randint(0, 3)):
            yield self.random.uniform(5, 40)
            self._retry()
        self._all_submitted = True

    def _retry(self) -> None:
        """What `reelpage retry` does: it looks at the failures and sends their jobs again."""
        last: dict[tuple[str, str], tuple[int, tuple[str, ...]]] = {}
        for media, part, _, columns, attempt in self.world.tables[LEDGER].rows:
            last[media, part] = max(last.get((media, part), (-1, ())), (attempt, columns))
        for (media, part), (attempt, columns) in last.items():
            if self.random.random() < 0.7:
                job = next(
                    job for _, job in self.submitted if (job.media, job.part) == (media, part)
                )
                tasks = tuple(column for column in columns if column != "structure")
                self._produce(replace(job, tasks=tasks, attempt=attempt + 1))
                self._retried += 1

    def _produce(self, job: Job) -> None:
        job = replace(job, stamp=self._stamps)
        self._stamps += 1
        # Not hash(), which is another one in every process.
        partition = sum(map(ord, job.key)) % self._partitions
        self.submitted.append((partition, job))
        self.world.logs[partition].records.append(job)
        self.trace(f"submit {job.key} {job.tasks} attempt {job.attempt} to {partition}")

    def _medium(self) -> list[Job]:
        """Jobs of one medium; few names, so that many are sent more than once."""
        number = self.random.randint(0, 6)
        fixed = Random(self.seed * 100 + number)  # the same medium is always the same
        units = fixed.randint(1, 4)
        whole = fixed.random() < 0.6
        parts = ("whole",) if whole else tuple(f"r{n}" for n in range(fixed.randint(2, 3)))
        poison = fixed.randint(0, units - 1) if fixed.random() < 0.3 else -1
        cure = fixed.choice([1, 2, 99])
        tasks = self.random.choice([("a",), ("b",), ("a", "b"), ()])
        poisons = [poison, *[-1] * (len(parts) - 1)]
        return [
            Job(f"m{number}", part, n * units, units, tasks, parts, 0, poisons[n], 0, cure)
            for n, part in enumerate(parts)
        ]

    def _break_log(self) -> Process:
        """Re-create the topic's partition, cut its tail off, or expire its head."""
        yield self.random.uniform(5, 50)
        partition = self.random.randrange(self._partitions)
        log = self.world.logs[partition]
        how = self.random.choice(["again", "tail", "head"])
        self.trace(f"the log of partition {partition} loses its {how}")
        if how == "head":
            log.start = self.random.randint(0, log.end)
            self.broken[partition] = -1
            return
        del log.records[0 if how == "again" else self.random.randint(0, log.end) :]
        self.broken[partition] = log.end
        self.world.group.expel_all()


def simulate(seed: int, *, control: str = "") -> Outcome:
    """Run one seed."""
    return Simulator(seed, control).run()

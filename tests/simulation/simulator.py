"""Simulator: one seed is one run: a lake, workers on a virtual clock, faults, and the checks."""

import heapq
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from schemas.errors import ReelpageError
from tests.simulation.check import check
from tests.simulation.fiber import Process
from tests.simulation.scenario import Scenario
from tests.simulation.world import Owner

END_S = 3000.0
_LONGEST_PAUSE_S = 24.0


@dataclass(frozen=True)
class Outcome:
    """What a seed gave.

    Attributes:
        problems: what does not hold; empty if all does.
        events: steps of all processes.
        faults: how many of each kind.
        counts: how often things happened that need faults, load or luck.
    """

    seed: int
    problems: list[str]
    events: int
    faults: Counter[str]
    counts: Counter[str]


@dataclass
class Simulator:
    """The virtual clock, the scheduler and the source of faults.

    Attributes:
        control: name of what must fail, or nothing.
        write: takes the lines of the trace.
        calm_at: when faults end, so that what has begun can end too.
    """

    seed: int
    control: str = ""
    write: Callable[[str], None] | None = None
    now: float = 0.0
    calm_at: float = 0.0
    events: int = 0
    faults: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self._queue: list[tuple[float, int, Owner | None, Process]] = []
        self._count = 0
        pick = self.random.choice
        self._rates = {
            "error": pick([0, 0, 0.02, 0.1]),
            "lost": pick([0, 0.05, 0.2]),
            "work": pick([0, 0.1, 0.4]),
            "crash": pick([0, 0.0005, 0.003]),
            "pause": pick([0, 0.003, 0.015]),
        }
        if self.control == "unlocked":  # it takes two workers that both hold a partition theirs
            self._rates |= {"pause": 0.03, "crash": 0.01}
        self.scenario = Scenario(self, self.control)

    def run(self) -> Outcome:
        """Run to the end and check."""
        self.spawn(None, self.scenario.run())
        logged = logging.root.manager.disable
        logging.disable()  # of what the code under test says of faults; the trace says it shorter
        try:
            self._loop()
            problems = check(self.scenario)
        except (ReelpageError, ValueError, LookupError, RuntimeError, AssertionError) as error:
            problems = [repr(error)]
        finally:
            for _, _, _, process in self._queue:
                process.close()
            logging.disable(logged)
        return Outcome(self.seed, problems, self.events, self.faults, self.scenario.world.counts)

    def _loop(self) -> None:
        while self._queue and self.now < END_S and not self.scenario.is_over:
            at, _, owner, process = heapq.heappop(self._queue)
            if owner is not None and not owner.alive:
                process.close()
            elif owner is not None and owner.asleep_until > at:
                self._push(owner.asleep_until, owner, process)
            else:
                self.now = at
                self._step(owner, process)

    def _step(self, owner: Owner | None, process: Process) -> None:
        self.events += 1
        try:
            delay = next(process)
        except StopIteration:
            return
        self._push(self.now + delay, owner, process)
        if owner is not None and self.fault("crash"):
            self.trace(f"{owner.name} crashes")
            self.scenario.crash(owner)
        elif owner is not None and self.fault("pause"):
            length = self.random.uniform(1, _LONGEST_PAUSE_S)
            self.trace(f"{owner.name} is paused for {length:.1f} s")
            owner.asleep_until = self.now + length

    def _push(self, at: float, owner: Owner | None, process: Process) -> None:
        self._count += 1
        heapq.heappush(self._queue, (at, self._count, owner, process))

    # What workers ask for

    def spawn(self, owner: Owner | None, process: Process) -> None:
        """Start a process."""
        self._push(self.now, owner, process)

    def fault(self, kind: str) -> bool:
        """Whether a fault of a kind happens now."""
        if self.now > self.calm_at or self.random.random() >= self._rates[kind]:
            return False
        self.faults[kind] += 1
        return True

    def trace(self, text: str) -> None:
        """Say what happens."""
        if self.write is not None:
            self.write(f"{self.now:9.3f} {text}")


def simulate(seed: int, *, control: str = "") -> Outcome:
    """Run one seed."""
    return Simulator(seed, control).run()

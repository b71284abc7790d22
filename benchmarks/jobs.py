"""Jobs: what the workers of a simulated cluster have in their hands."""

import heapq
from dataclasses import dataclass, field


@dataclass(eq=False)
class Job:
    """A record: parts from `first` on, of which `done` have landed."""

    came: float
    first: int
    parts: int
    done: int = 0
    ended: bool = False
    opened: bool = False


@dataclass(eq=False)
class Topic:
    """One partition.

    Attributes:
        jobs: all that came; their places are their offsets.
        waiting: offsets that no slot has, a heap.
        committed: offset.
        owner: who reads it.
    """

    jobs: list[Job] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)
    committed: int = 0
    owner: "Worker | None" = None

    def add(self, job: Job) -> None:
        """One more job."""
        heapq.heappush(self.waiting, len(self.jobs))
        self.jobs.append(job)

    def commit(self) -> None:
        """As far as all has ended."""
        while self.committed < len(self.jobs) and self.jobs[self.committed].ended:
            self.committed += 1


@dataclass(eq=False)
class Slot:
    """A thread of a worker.

    Attributes:
        worker: it belongs to.
        turn: how often it has taken or left a job; what was begun before is not its own any more.
        topic: of its job.
        offset: of its job.
        following: number of the part to read next.
        reading: whether one is being read.
        read: a part that was, and is to be asked about.
        asked: the part that it is waiting for.
    """

    worker: "Worker"
    turn: int = 0
    topic: Topic | None = None
    offset: int = 0
    following: int = 0
    reading: bool = False
    read: int | None = None
    asked: int | None = None

    @property
    def rests(self) -> bool:
        """Whether nothing of its job is under way."""
        return not self.reading and self.read is None and self.asked is None


@dataclass(eq=False)
class Worker:
    """A pod: `works` once it has started and until it drains, `lives` until it has ended."""

    slots: list[Slot] = field(default_factory=list)
    works: bool = False
    lives: bool = True


@dataclass(frozen=True)
class Question:
    """A part that a slot asks the graph about."""

    slot: Slot
    turn: int
    part: int

"""Stage: replicas of a Serve deployment in simulation, each on a GPU node of its own."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from benchmarks.clock import Clock
from benchmarks.serving import Autoscaler, Reports, Seen, seen

T = TypeVar("T")


@dataclass(frozen=True)
class Nodes:
    """How long GPU nodes take.

    Attributes:
        start_s: until one that was asked for is there.
        load_s: until a replica on it has its model.
        idle_s: after which an empty one is given back, `idleTimeoutSeconds`.
    """

    start_s: float = 180.0
    load_s: float = 40.0
    idle_s: float = 60.0


@dataclass(frozen=True)
class Work(Generic[T]):
    """What a stage does with a question.

    Attributes:
        seconds: for one that comes first of so many in a replica.
        cost: that the replica reports.
        done: told when it has been answered.
        lost: told when its replica was.
    """

    seconds: Callable[[T, int], float]
    cost: Callable[[T], int]
    done: Callable[[T], object]
    lost: Callable[[T], object]


@dataclass(eq=False)
class _Node:
    """A machine; `asked` and `ready` are seconds, `empties` counts how often it became empty."""

    asked: float
    ready: float
    empties: int = 0


@dataclass(eq=False)
class _Replica(Generic[T]):
    """On a node; the first of the queue is in work, and one that stops takes no more."""

    node: _Node
    runs: bool = False
    stops: bool = False
    lives: bool = True
    queue: deque[T] = field(default_factory=deque)
    reports: Reports = field(default_factory=Reports)


class Stage(Generic[T]):
    """Replicas that come and go as the rules say.

    Attributes:
        targets: numbers of replicas that were wanted, one after the other.
        gpu_s: of nodes that are gone, from when they were asked for.
        busy_s: of replicas, in which they worked.
    """

    def __init__(self, clock: Clock, rules: Autoscaler, nodes: Nodes, work: Work[T]) -> None:
        """No replica is there."""
        self._clock, self._rules, self._nodes, self._work = clock, rules, nodes, work
        self._replicas: list[_Replica[T]] = []
        self._queued: deque[T] = deque()
        self._empty: list[_Node] = []
        self._held = 0
        self.targets = [0]
        self.gpu_s = self.busy_s = 0.0

    @property
    def running(self) -> int:
        """Replicas that answer."""
        return sum(one.runs for one in self._replicas)

    @property
    def gone(self) -> bool:
        """Whether no replica is wanted, and no node is held."""
        return not self.targets[-1] and not self._held

    def ask(self, question: T) -> None:
        """To the replica with the fewest, or to none as long as there is none."""
        running = [one for one in self._replicas if one.runs]
        if running:
            self._give(min(running, key=lambda one: len(one.queue)), question)
        else:
            self._queued.append(question)

    def report(self) -> None:
        """Replicas say what waits in them; to be called every `PUSH_S`."""
        for one in self._replicas:
            if one.runs:
                cost = sum(map(self._work.cost, one.queue))
                one.reports.add(self._clock.now, len(one.queue), cost)

    def look(self) -> None:
        """Serve decides; to be called every `LOOK_S`."""
        if self._replicas or self._queued or self.targets[-1]:
            target = self._rules.decide(self._clock.now, self._seen())
            if target != self.targets[-1]:
                self.targets.append(target)
            self._adjust()

    def _seen(self) -> Seen:
        means = [one.reports.means(self._clock.now) for one in self._replicas if one.runs]
        reports = [one for one in means if one is not None]
        return seen(self.running, self.targets[-1], len(self._queued), reports)

    def lose(self) -> None:
        """The node of the first replica that runs is lost, if there is one."""
        for one in self._replicas:
            if one.runs:
                one.lives = False
                self._replicas.remove(one)
                self._give_back(one.node)
                for question in one.queue:
                    self._work.lost(question)
                return

    def _adjust(self) -> None:
        while len(self._replicas) < self.targets[-1]:
            self._start()
        while len(self._replicas) > self.targets[-1]:
            self._stop(min(self._replicas, key=lambda one: (one.runs, len(one.queue))))

    def _start(self) -> None:
        now = self._clock.now
        if not self._empty:
            self._held += 1
        node = self._empty.pop() if self._empty else _Node(now, now + self._nodes.start_s)
        replica: _Replica[T] = _Replica(node)
        self._replicas.append(replica)
        self._clock.after(max(0, node.ready - now) + self._nodes.load_s, self._run, replica)

    def _run(self, replica: _Replica[T]) -> None:
        if replica.lives:
            replica.runs = True
            queued, self._queued = self._queued, deque()
            for question in queued:
                self.ask(question)

    def _stop(self, replica: _Replica[T]) -> None:
        self._replicas.remove(replica)
        replica.stops = True
        if not replica.queue:
            self._leave(replica)

    def _leave(self, replica: _Replica[T]) -> None:
        replica.lives, node = False, replica.node
        node.empties += 1
        self._empty.append(node)
        unborn_s = max(0, node.ready - self._clock.now)
        self._clock.after(unborn_s + self._nodes.idle_s, self._tire, node, node.empties)

    def _tire(self, node: _Node, empties: int) -> None:
        if node in self._empty and node.empties == empties:
            self._empty.remove(node)
            self._give_back(node)

    def _give_back(self, node: _Node) -> None:
        self._held -= 1
        self.gpu_s += self._clock.now - node.asked

    def _give(self, replica: _Replica[T], question: T) -> None:
        replica.queue.append(question)
        if len(replica.queue) == 1:
            self._work_on(replica)

    def _work_on(self, replica: _Replica[T]) -> None:
        seconds = self._work.seconds(replica.queue[0], len(replica.queue))
        self._clock.after(seconds, self._end, replica, seconds)

    def _end(self, replica: _Replica[T], seconds: float) -> None:
        if not replica.lives:
            return
        self.busy_s += seconds
        question = replica.queue.popleft()
        if replica.queue:
            self._work_on(replica)
        elif replica.stops:
            self._leave(replica)
        self._work.done(question)

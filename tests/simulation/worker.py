"""Worker: an ingest worker on the virtual clock, of the parts that a real one is made of.

Its board, windows, slots, work and protocol are the product's. The loops around them are ours:
each is a fiber where the product has a thread, and a crash drops them all between any two steps.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

from pipeline.land.batch import Part
from pipeline.land.protocol import Markers
from pipeline.land.records import markers_of
from pipeline.land.window import Done, LogError
from schemas.errors import TransientError
from schemas.jobs import Job
from services.ingest.begin import Room
from services.ingest.board import Board, Ticket
from services.ingest.compose import Jobs
from services.ingest.partition import Marked, Partition, Tries
from services.ingest.settle import settle
from services.ingest.slots import Hands, Slots, Watch
from services.ingest.subject import Delivery, Tools
from services.ingest.work import Source
from services.topic.record import Record
from tests.composed import TEXT_HERE
from tests.simulation.controls import protocol_of
from tests.simulation.fiber import Process, fiber, sleep
from tests.simulation.lander import LanderTables, OwnTables
from tests.simulation.media import Answerer, Library
from tests.simulation.performer import Careless, VirtualPerformer, show
from tests.simulation.results import PlainWork, batch_of
from tests.simulation.world import Clock, Remote, World

_BUDGETS = (1_500, 3_000, 1 << 20)  # bytes; a record has about 600


class VirtualBoard(Board):
    """Waits in virtual time, and tells the world of partitions that stop."""

    def __init__(self, clock: Clock, world: World) -> None:
        super().__init__(clock.random.choice(_BUDGETS))
        self._clock, self._world = clock, world

    def wait(self, seconds: float) -> None:
        sleep(self._clock.random.uniform(seconds, seconds + 1))

    def stop(self, number: int, error: LogError) -> None:
        self._clock.trace(f"partition {number} stops: {error.code}: {error}")
        self._world.stopped[number] = error.code
        super().stop(number, error)

    def put_back(self, ticket: Ticket, tries: Tries) -> None:
        self._world.counts["tried again" if tries.not_before else "put back"] += 1
        super().put_back(ticket, tries)


class Waiting(VirtualBoard):
    """`waiting`: a job for which there is no room waits for it in its slot."""

    def verdict(self, ticket: Ticket) -> Literal["go on", "wait", "stop"]:
        found = super().verdict(ticket)
        return "wait" if found == "stop" and self.has(ticket.partition) else found


class Worker:
    """One process; a restart is a new one under another name."""

    def __init__(self, name: str, clock: Clock, world: World, *, is_alone: bool) -> None:
        """Nothing runs.

        Args:
            name: in the trace.
            clock: of everything.
            world: outside.
            is_alone: whether it commits and runs the model itself, for a folder that it has alone.
        """
        self.name, self.alive, self.asleep_until = name, True, 0.0
        self._clock, self._world, self._is_alone = clock, world, is_alone
        self._store = Remote(clock, world.store)
        ask = world.landers is not None and not is_alone
        tables = LanderTables(clock, world) if ask else OwnTables(clock, world)
        performer = Careless if world.control == "back" else VirtualPerformer
        self._performer = performer(name, clock, tables, self._store)
        self._protocol = protocol_of(world.control)
        board = Waiting if world.control == "waiting" else VirtualBoard
        self._board = board(clock, world)

    def _compose(self, jobs: Jobs, source: Source, library: Library, watch: Watch) -> None:
        """What `services.ingest.compose` does, and the start of all threads but the caller's."""
        group = f"{jobs.group}/{jobs.topic}"
        settle(self._store, self._performer, self._protocol, group)
        answerer = Answerer(self._clock, self._world, library, is_own=self._is_alone)
        read, claim = library.decode, jobs.claim
        tools = Tools(self._store, self._markers, answerer, read, TEXT_HERE, claim, room=Room(2))

        def begin(delivery: Delivery, has_read: Callable[[], None]) -> PlainWork:
            return PlainWork(delivery, source, tools)

        def check() -> None:
            self._store.get("lake.json")
            answerer.read_model()

        hands = Hands(
            jobs.topic, begin, jobs.send, jobs.home, jobs.run_of, check, watch, self._later
        )
        slots = Slots(0, self._board, hands)
        for number in range(self._clock.random.randint(1, 3)):
            self._clock.spawn(self, self._slot(slots, f"{self.name}/{number}"))
        self._clock.spawn(self, self._land(group))

    def _markers(self, name: str) -> Markers:
        data = self._store.get(name)
        return {} if data is None else markers_of(name, data)

    def _later(self, seconds: float) -> float:
        return self._clock.now + self._clock.random.uniform(0.5, 1) * seconds

    # A slot

    def _slot(self, slots: Slots, name: str) -> Process:
        while True:
            ticket = self._board.next_ticket(self._clock.now)
            if ticket is None:
                yield self._clock.random.uniform(0.2, 1.5)
                continue
            record, failed = ticket.record, ticket.failed
            place = f"{record.partition}@{record.offset}.{ticket.first}"
            self._clock.trace(f"{name} begins {place}, {record.key[:6]}, failed {failed} times")
            yield from fiber(partial(slots.attempt, ticket))
            self._clock.trace(f"{name} lets {place} go")

    # The landing thread

    def _land(self, group: str) -> Process:
        while True:
            for number in self._board.waiting():
                yield from fiber(partial(self._resume, number, f"{group}/{number}"))
            for partition, run in self._board.ready():
                app = f"{group}/{partition.number}"
                yield from fiber(partial(self._land_run, partition, run, app))
            yield self._clock.random.uniform(0.2, 1.5)

    def _resume(self, number: int, app: str) -> None:
        try:
            resumed = self._performer.run(self._protocol.resume(app))
        except TransientError:
            sleep(1.0)
            return
        place = show(None if resumed is None else resumed.position)
        self._clock.trace(f"{self.name} resumes partition {number} behind {place}")
        self._board.resumed(number, resumed)

    def _land_run(self, partition: Partition, run: list[Done[Marked]], app: str) -> None:
        most = 1 if self._world.control == "independent" else len(run)
        run = run[: self._clock.random.randint(1, most)]
        number = self._clock.random.randint(1, 2**63 - 1)
        batch = batch_of(app, partition.window.position, run, number)
        while True:
            try:
                landed = self._performer.run(self._protocol.land(batch))
                break
            except TransientError:
                sleep(1.0)
        self._clock.trace(f"{self.name} {app}: {show(batch.last)} landed={landed}")
        if landed:
            self._board.landed(partition, batch.last)
        else:
            self._board.stale(partition)


class Slow:
    """Watches: what a slot does between two parts takes time too."""

    def __init__(self, clock: Clock, watch: Watch | None = None) -> None:
        self._clock, self._watch = clock, watch

    def made(self, record: Record, job: Job | None, part: Part) -> None:
        if self._watch is not None:
            self._watch.made(record, job, part)
        sleep(self._clock.random.expovariate(10.0))

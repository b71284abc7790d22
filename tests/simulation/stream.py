"""Stream: a worker on the simulated topic."""

from collections.abc import Iterable

from pipeline.land.window import LogError
from schemas.errors import TransientError
from schemas.jobs import Job
from services.ingest.compose import Jobs
from services.ingest.partition import Partition
from services.topic.homes import home
from services.topic.record import Record
from tests.simulation.controls import claim_of
from tests.simulation.fiber import Process, fiber, sleep
from tests.simulation.media import Library
from tests.simulation.worker import Slow, Worker
from tests.simulation.world import GROUP, Clock, World


class StreamWorker(Worker):
    """Polls as `services.ingest.poller` does."""

    ended = False

    def __init__(self, name: str, clock: Clock, world: World, library: Library) -> None:
        super().__init__(name, clock, world, is_alone=False)
        self._library = library
        self._mine: set[int] = set()
        self._generation = -1

    def begin(self) -> None:
        self._clock.spawn(self, self._run())

    def _run(self) -> Process:
        yield from fiber(self._start)
        while True:
            self.poll()
            yield self._clock.random.uniform(0.5, 1.5)

    def _start(self) -> None:
        group, topic = GROUP.split("/")
        jobs = Jobs(
            group=group,
            topic=topic,
            board=self._board,
            log=self,
            send=self._send,
            home=self._home,
            run_of=lambda job: job.id,
            claim=claim_of(self._world.control, self._store),
        )
        while True:
            try:
                self._compose(jobs, self._library, self._library, Slow(self._clock))
                return
            except TransientError:
                sleep(1.0)

    def poll(self, *, fetch: bool = True) -> None:
        self._follow()
        for partition in self._board.open():
            if not partition.reading:
                partition.reading = True
            elif fetch and partition.number not in self._board.paused():
                self._read(partition)
        self.commit()

    def commit(self) -> None:
        """At every poll, not once after a landing: a rebalance refuses commits."""
        for number, offset in self._board.committed().items():
            self._world.group.commit(self.name, self._generation, number, offset)

    def _follow(self) -> None:
        group = self._world.group
        generation, mine, was_out = group.poll(self.name, self._clock.now)
        if generation == self._generation:
            return
        gone = self._mine if group.eager or was_out else self._mine - mine
        self._board.revoke(gone)
        for number in sorted(mine - (self._mine - gone)):
            self._board.assign(number, self._world.logs[number].start)
        self._generation, self._mine = generation, mine

    def _read(self, partition: Partition) -> None:
        log = self._world.logs[partition.number]
        self._board.take(
            partition.number, log.read(partition.fetch, self._clock.random.randint(1, 3))
        )
        try:
            partition.check_end(log.end)
        except LogError as error:
            self._board.stop(partition.number, error)

    def _home(self, key: str, job: Job) -> int:
        return home(key, job, len(self._world.logs))

    def _send(self, _: Record, jobs: Iterable[tuple[str, Job]]) -> None:
        for key, job in jobs:
            sleep(self._clock.random.expovariate(20.0))
            if self._clock.fault("error"):
                raise _broker_failed()
            self._world.send(key, job)
        if self._clock.fault("lost"):
            raise _broker_failed()


def _broker_failed() -> TransientError:
    return TransientError("broker_failed", "the broker does not answer")

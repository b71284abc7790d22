"""Index: a run of `reelpage index`, or of `retry` in its own process, over the same lake."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from schemas.errors import TransientError
from schemas.jobs import Job
from services.index.file_log import FileLog
from services.index.files import Given
from services.index.progress import Progress
from services.index.summary import Summary
from services.index.watch import RunWatch
from tests.simulation.fiber import fiber
from tests.simulation.media import Library
from tests.simulation.worker import Slow, Worker
from tests.simulation.world import Clock, World


class IndexRun(Worker):
    """Ends when all its inputs have; `finished` says whether it came to that."""

    def __init__(
        self, name: str, clock: Clock, world: World, library: Library, jobs: Sequence[Job]
    ) -> None:
        super().__init__(name, clock, world, is_alone=True)
        self._library = library
        self._jobs = [replace(job, id=f"{name}-{n}") for n, job in enumerate(jobs)]
        self.finished = False

    def begin(self) -> None:
        self._clock.spawn(self, fiber(self._run))

    def _run(self) -> None:
        summary = Summary(self.name, len(self._jobs))
        files = FileLog(self._board, self._given())
        watch = Slow(self._clock, RunWatch(files, Progress(), summary))
        try:
            self._compose(files.jobs(self.name), files, self._library, watch)
            while not files.ended:
                files.poll()
            summary.check()
            self.finished = True
        except TransientError as error:
            self._clock.trace(f"{self.name} ends: {error}")
        self.alive = False

    def _given(self) -> Iterator[Given]:
        for job in self._jobs:
            yield job, self._library.input(job.media.uri)

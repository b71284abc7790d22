"""File log: the inputs of one process as the only partition of a log, and their media.

Its offsets go on behind the last one that landed in the lake, so that each run is a new stretch of
one log.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from pipeline.consume import Input
from pipeline.land.window import offset_of
from schemas.jobs import Job
from services.index.files import Given
from services.ingest.board import Board
from services.ingest.compose import Jobs
from services.ingest.partition import Partition
from services.topic.record import Record

GROUP: Final = "local"
TOPIC: Final = "index"
_WAIT_S: Final = 0.1


@dataclass
class Entry:
    """One input of a run.

    Attributes:
        source: its medium.
        open: jobs about it that have not ended: one, or one a range of a long video.
        outcomes: of those that have.
    """

    source: Input
    open: int = 1
    outcomes: list[str] = field(default_factory=list)


class FileLog:
    """Gives the jobs of a run to a board; see `services.ingest.worker.Log`."""

    def __init__(self, board: Board, inputs: Iterator[Given]) -> None:
        """Nothing is read yet.

        Args:
            board: whose partition 0 this is.
            inputs: jobs with their media, in order; no two have the same id.
        """
        self._board, self._inputs = board, inputs
        self._more: deque[tuple[str, Job, Entry]] = deque()
        self._entries: dict[int, Entry] = {}
        self._media: dict[str, Input] = {}
        self._all_read = False
        board.assign(0, 0)

    def jobs(self, run_id: str) -> Jobs:
        """These jobs as those of a worker: in one place, and each under its medium's id."""
        return Jobs(
            group=GROUP,
            topic=TOPIC,
            board=self._board,
            log=self,
            send=self.send,
            home=lambda *_: 0,
            run_of=lambda _: run_id,
            claim=lambda media_id, _: media_id,
        )

    @property
    def ended(self) -> bool:
        """Whether all jobs have come and landed."""
        left = self._more or self._entries or any(map(_holds, self._board.open()))
        return self._all_read and not left

    def poll(self, *, fetch: bool = True) -> None:
        """Let the next job in, if there is room."""
        if not fetch or 0 in self._board.paused() or not self._take_next():
            self._board.wait(_WAIT_S)

    def commit(self) -> None:
        """Nothing to do: the lake knows how far it is."""

    def send(self, record: Record, jobs: Iterable[tuple[str, Job]]) -> None:
        """Put what a job becomes behind all that has been read."""
        entry = self._entries[record.offset]
        for key, job in jobs:
            entry.open += 1
            self._more.append((key, job, entry))

    @contextmanager
    def open(self, job: Job, known_as: str = "") -> Iterator[Input]:
        """The medium of a job that was given out; see `services.ingest.work.Source`."""
        yield self._media[job.id]

    def end(self, record: Record, job: Job, outcome: str) -> Entry | None:
        """A job has ended; its input, if that has ended with it."""
        entry = self._entries.pop(record.offset)
        del self._media[job.id]
        entry.open -= 1
        if outcome != "sent_on":
            entry.outcomes.append(outcome)
        if entry.open:
            return None
        entry.source.discard()
        return entry

    def _take_next(self) -> bool:
        """Whether there was a job."""
        partition = next(iter(self._board.open()), None)
        if partition is None:
            return False
        found = self._next()
        if found is None:
            return False
        key, job, entry = found
        offset = _next_offset(partition)
        self._entries[offset] = entry
        self._media[job.id] = entry.source
        record = Record(0, offset, key, 0, job.to_json().encode())
        self._board.take(0, [record])
        return True

    def _next(self) -> tuple[str, Job, Entry] | None:
        if self._more:
            return self._more.popleft()
        if self._all_read:
            return None
        job, source = next(self._inputs, (None, None))
        if job is None or source is None:
            self._all_read = True
            return None
        return source.input_id, job, Entry(source)


def _next_offset(partition: Partition) -> int:
    """Of the next record; the first of a run goes behind all of the runs before."""
    if not partition.reading:
        partition.reading = True
        if partition.resumed is not None:
            partition.fetch = offset_of(partition.resumed.position) + 1
    return partition.fetch


def _holds(partition: Partition) -> bool:
    return len(partition.window) > 0

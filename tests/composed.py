"""A worker of real parts in this process, for tests that need another model, decoder or log.

index(lake, given([path], TASKS), Stub())  # as `reelpage index` does it
"""

import uuid
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from pipeline.consume import Input
from pipeline.decode import decode as sandboxed
from pipeline.land.batch import Part
from pipeline.land.commit import GroupCommitter
from pipeline.land.lake import open_lake
from pipeline.recognise import Recogniser
from schemas.jobs import Job, MediaReference, Task
from services.index.file_log import FileLog
from services.index.files import Given
from services.index.progress import Progress
from services.index.summary import Summary
from services.index.watch import RunWatch
from services.ingest.board import Board
from services.ingest.claims import claim
from services.ingest.compose import Jobs, Lake, compose
from services.ingest.sources import Sources
from services.ingest.subject import Answerer, Decode
from services.ingest.work import Source
from services.model.text import TextInProcess
from services.settings import Settings
from services.topic.record import Record

TEXT_HERE: Final = TextInProcess(Recogniser(1))
"""Reads text in this process, once something is to be read."""


def given(inputs: Iterable[Input], tasks: Sequence[Task], sample: str = "1fps") -> list[Given]:
    """Files as the jobs of a run."""
    run = uuid.uuid4().hex
    return [
        (Job(f"{run}-{n}", MediaReference(one.uri), tuple(tasks), sample=sample), one)
        for n, one in enumerate(inputs)
    ]


def index(
    root: Path, jobs: Sequence[Given], answerer: Answerer, decode: Decode = sandboxed
) -> Summary:
    """Work on the jobs of a run to the end."""
    summary = Summary(uuid.uuid4().hex[:16], inputs=len(jobs))
    with open_lake(root) as place, GroupCommitter(place, delay_s=0.0) as tables:
        board = Board()
        files = FileLog(board, iter(jobs))
        watch = RunWatch(files, Progress(), summary)
        source = files.jobs(summary.run_id)
        compose(source, Lake(place, tables), files, answerer, 1, watch, TEXT_HERE, decode).run()
    summary.check()
    return summary


@dataclass
class RecordLog:
    """A log of one partition in memory; what jobs become goes behind its end.

    Attributes:
        board: whose partition 0 it is.
        records: keys and values that have not been taken.
    """

    board: Board
    records: deque[tuple[str, bytes]]
    _next: int = 0

    def __post_init__(self) -> None:
        self.board.assign(0, 0)

    @property
    def ended(self) -> bool:
        return not self.records and not any(len(one.window) for one in self.board.open())

    def poll(self, *, fetch: bool = True) -> None:
        (*opened,) = self.board.open()
        if not (fetch and opened and self.records) or 0 in self.board.paused():
            self.board.wait(0.05)
            return
        opened[0].reading = True
        key, value = self.records.popleft()
        self.board.take(0, [Record(0, self._next, key, 0, value)])
        self._next += 1

    def commit(self) -> None:
        pass

    def send(self, _: Record, jobs: Iterable[tuple[str, Job]]) -> None:
        self.records += [(key, job.to_json().encode()) for key, job in jobs]


@dataclass
class Ends:
    """Notes the part with which each record ends; see `services.ingest.slots.Watch`."""

    parts: dict[int, list[Part]] = field(default_factory=dict)

    def made(self, record: Record, job: Job | None, part: Part) -> None:
        if part.final:
            self.parts.setdefault(record.offset, []).append(part)


def work_on(
    root: Path,
    records: Iterable[tuple[str, bytes]],
    answerer: Answerer,
    settings: Settings,
    sources: Source | None = None,
    topic: str = "t",
) -> Ends:
    """Work on the records of a topic to the end."""
    sources = sources or Sources(settings)
    ends = Ends()
    with open_lake(root) as place, GroupCommitter(place, delay_s=0.0) as tables:
        board = Board()
        log = RecordLog(board, deque(records))
        source = Jobs(
            group="g",
            topic=topic,
            board=board,
            log=log,
            send=log.send,
            home=lambda *_: 0,
            run_of=lambda job: job.id,
            claim=partial(claim, place.objects),
        )
        lake = Lake(place, tables)
        compose(source, lake, sources, answerer, settings.slots, ends, TEXT_HERE).run()
    return ends

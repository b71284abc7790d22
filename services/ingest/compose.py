"""Compose: a worker of its parts, whatever its log, its store and its model are."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import pyarrow as pa

from pipeline.decode import decode as sandboxed
from pipeline.land.batch import join_ranges
from pipeline.land.commit import Tables
from pipeline.land.perform import Performer
from pipeline.land.place import Objects, Place
from pipeline.land.protocol import Batch, Markers, Protocol
from pipeline.land.records import markers_of
from schemas.errors import SetupError
from schemas.jobs import Job
from services.ingest.begin import InThreads, Room
from services.ingest.board import Board
from services.ingest.keys import Claim
from services.ingest.landing import LandingThread
from services.ingest.settle import settle
from services.ingest.slots import Hands, Slots, Watch
from services.ingest.subject import Answerer, Decode, LineReader, Tools
from services.ingest.work import Source, Work
from services.ingest.worker import Log, Worker
from services.topic.record import Record

ASKING: Final = 30
"""Jobs that wait for a model of this process, with those that are read: half its batch at a prompt
each, a whole one at two."""
_AHEAD: Final = 6
"""Parts of one medium that a model of this process is asked about at a time; a graph has the media
of many workers to batch, and its questions a deadline."""
_VERSION: Final = "lake.json"


@dataclass(frozen=True)
class Jobs:
    """Where the jobs of a worker come from.

    Attributes:
        group: of workers that share the log; what landed is counted by it.
        topic: name of the log.
        board: what the log lets its jobs into.
        log: gives them.
        send: puts the jobs that a job becomes on the log, behind its record.
        home: the partition in which a job of a key is worked on.
        run_of: what the rows of a job say they came by.
        claim: a medium for a key.
    """

    group: str
    topic: str
    board: Board
    log: Log
    send: Callable[[Record, Iterable[tuple[str, Job]]], Any]
    home: Callable[[str, Job], int]
    run_of: Callable[[Job], str]
    claim: Claim


@dataclass(frozen=True)
class Lake:
    """What rows and shards go to.

    Attributes:
        place: of the lake.
        tables: commit its rows.
        linger_s: least time between two landings.
        told: of each batch that has landed.
    """

    place: Place
    tables: Tables
    linger_s: float = 0.0
    told: Callable[[Batch], object] = lambda _: None


def compose(
    jobs: Jobs,
    lake: Lake,
    source: Source,
    answerer: Answerer,
    slots: int,
    watch: Watch,
    reader: LineReader,
    decode: Decode = sandboxed,
    asking: int = 0,
) -> Worker:
    """A worker, ready to run; what others had decided to land is landed first.

    Args:
        jobs: where they come from.
        lake: where rows go.
        source: of media.
        answerer: asks the model.
        slots: media that are read at a time.
        watch: told of every part.
        reader: reads text.
        decode: media.
        asking: further jobs, whose media have been read and which wait for the model.

    Raises:
        TransientError, SetupError: what the lake raises.
    """
    objects = lake.place.objects
    performer = Performer(lake.tables, objects)
    protocol = Protocol(join_ranges, pa.table({}))
    group = f"{jobs.group}/{jobs.topic}"
    settle(objects, performer, protocol, group)
    markers = partial(_markers, objects)
    room = Room(_AHEAD if asking else 1)
    begin = InThreads(slots + asking)
    tools = Tools(objects, markers, answerer, decode, reader, jobs.claim, begin, room)
    hands = Hands(
        topic=jobs.topic,
        begin=lambda delivery, has_read: Work(delivery, source, tools, has_read),
        send=jobs.send,
        home=jobs.home,
        run_of=jobs.run_of,
        check=lambda: _check(objects, answerer),
        watch=watch,
    )
    landing = LandingThread(
        jobs.board, performer, protocol, group, linger_s=lake.linger_s, told=lake.told
    )
    return Worker(jobs.log, jobs.board, Slots(slots, jobs.board, hands, asking), landing)


def _markers(objects: Objects, name: str) -> Markers:
    data = objects.get(name)
    return {} if data is None else markers_of(name, data)


def _check(objects: Objects, answerer: Answerer) -> None:
    """Ask what every job needs.

    Raises:
        TransientError: it is away.
        SetupError: it refuses this worker, or the lake is gone.
    """
    if objects.get(_VERSION) is None:
        message = "the lake's own file lake.json is gone; restore it, or choose another lake"
        raise SetupError("lake_missing", message)
    answerer.read_model()

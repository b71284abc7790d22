"""Worker: an ingest worker put together from the settings."""

import threading
from collections.abc import Sequence

import pyarrow as pa

from pipeline.land.batch import join_ranges
from pipeline.land.commit import GroupCommitter, Tables
from pipeline.land.perform import Performer
from pipeline.land.place import Objects, Place
from pipeline.land.protocol import Marker, Protocol
from pipeline.land.records import from_bytes
from pipeline.land.rows import Answer
from pipeline.land.tables import check_version
from schemas.errors import SetupError
from schemas.jobs import Task
from schemas.shards import Shard
from services.ingest.patience import patiently
from services.ingest.sources import Sources
from services.ingest.units import Answerer, Tools
from services.ingest.work import Work
from services.ingest.worker import Ingest
from services.model.asking import Read, shard_answers
from services.model.client import GraphClient
from services.model.wire import ServedModel
from services.settings import Settings
from services.storage.places import open_place, probe


def build(settings: Settings) -> Ingest:
    """A worker, ready to run.

    Where the settings name a graph, that runs the model and commits for many workers; else this
    process does both.

    Waits while the store or the graph do not answer.

    Raises:
        SetupError: `usage`, `store_unsafe`, or what the store or the model say.
    """
    place = patiently(lambda: open_lake(settings))
    make = _served if settings.graph else _in_process
    answerer, model, tables = patiently(lambda: make(settings, place))
    return assemble(settings, place, answerer, model, tables)


def open_lake(settings: Settings) -> Place:
    """The lake that the settings name, made where it is missing.

    Raises:
        SetupError: `usage`, `store_unsafe`, `lake_newer`, or what the store says.
        TransientError: the store does not answer.
    """
    if not settings.lake:
        message = "no lake is named: set REELPAGE_LAKE=s3://bucket/prefix"
        raise SetupError("usage", message)
    place = open_place(settings.lake, settings)
    probe(place)
    check_version(place, create=True)
    return place


def assemble(
    settings: Settings, place: Place, answerer: Answerer, model: ServedModel, tables: Tables
) -> Ingest:
    """A worker of these parts."""
    tools = Tools(place.objects, Markers(place.objects).read, answerer, model)
    work = Work(Sources(settings), tools)
    protocol = Protocol(join_ranges, pa.table({}))
    return Ingest(settings, work, Performer(tables, place.objects), protocol)


def _served(settings: Settings, _: Place) -> tuple[Answerer, ServedModel, Tables]:
    from services.lander.http import LanderClient

    client = GraphClient(settings.graph)
    return Served(client), client.model(), LanderClient(settings.graph)


def _in_process(settings: Settings, place: Place) -> tuple[Answerer, ServedModel, Tables]:
    from services.model.reader import (  # torch is loaded where it is used alone
        Reader,
        model_facts,
        set_threads,
    )

    facts = model_facts(settings.model_directory(None))
    model = ServedModel(facts.name, facts.revision, facts.min_pixels, facts.max_pixels)
    set_threads(settings.threads)
    reader = Reader(facts, settings.device)
    return InProcess(reader.read), model, GroupCommitter(place)


class Markers:
    """Reads what has become of work that was done before."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def read(self, name: str) -> Marker | None:
        """A marker, or None if there is none."""
        data = self._objects.get(name)
        found = None if data is None else from_bytes(data)
        assert found is None or isinstance(found, Marker)
        return found


class Served:
    """Asks the graph, which reads the shard by its name."""

    def __init__(self, client: GraphClient) -> None:
        self._client = client

    def answers(self, name: str, shard: Shard, tasks: Sequence[Task]) -> list[list[Answer]]:
        """See `Answerer`. A shard without pictures is not worth a request."""
        return self._client.answers(name, tasks) if shard.rows.num_rows else []


class InProcess:
    """Asks the model of this process, for one shard at a time."""

    def __init__(self, read: Read) -> None:
        self._read, self._lock = read, threading.Lock()

    def answers(self, name: str, shard: Shard, tasks: Sequence[Task]) -> list[list[Answer]]:
        """See `Answerer`."""
        with self._lock:
            return shard_answers(shard, tasks, self._read)

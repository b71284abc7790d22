"""Build: an ingest worker of the stream, put together from the settings."""

import logging
from collections import Counter
from functools import partial
from pathlib import Path

from pipeline.decode import decode as sandboxed
from pipeline.land.batch import Part
from pipeline.land.commit import GroupCommitter, Tables
from pipeline.land.lake import share
from pipeline.land.place import Place
from pipeline.land.tables import check_version
from pipeline.recognise import Recogniser
from schemas.errors import SetupError
from schemas.jobs import Job
from services.checkpoints.found import checkpoint
from services.ingest.board import Board
from services.ingest.claims import claim
from services.ingest.compose import ASKING, Jobs, Lake, compose
from services.ingest.patience import patiently
from services.ingest.sources import Sources
from services.ingest.subject import Answerer, Decode, LineReader
from services.ingest.topic_log import TopicLog
from services.ingest.worker import Worker
from services.model.text import TextInProcess, TextServed
from services.settings import Settings
from services.storage.places import open_place, probe
from services.topic.record import Record

log = logging.getLogger(__name__)


def build(settings: Settings) -> Worker:
    """A worker, ready to run.

    Where the settings name a graph, that runs the model and commits for many workers; else this
    process does both. Waits while the store or the graph do not answer, and
    while another process has the lake's folder alone.

    Raises:
        SetupError: `usage`, `store_unsafe`, or what the store or the model say.
    """
    place = patiently(lambda: open_lake(settings))
    if place.is_folder:
        patiently(lambda: share(Path(place.uri)))
    make = _served if settings.graph else _in_process
    answerer, tables, reader = patiently(lambda: make(settings, place))
    asking = 0 if settings.graph else ASKING
    return patiently(
        lambda: of_topic(settings, place, answerer, tables, reader=reader, asking=asking)
    )


def of_topic(
    settings: Settings,
    place: Place,
    answerer: Answerer,
    tables: Tables,
    decode: Decode = sandboxed,
    reader: LineReader | None = None,
    asking: int = 0,
) -> Worker:
    """A worker on the topic that the settings name; by default it reads text itself.

    Raises:
        TransientError, SetupError: what the lake raises.
    """
    board = Board()
    topic = TopicLog(settings, board, place.objects)
    jobs = Jobs(
        group=settings.group,
        topic=settings.topic,
        board=board,
        log=topic,
        send=topic.send,
        home=topic.home,
        run_of=lambda job: job.id,
        claim=partial(claim, place.objects),
    )
    lake, watch = Lake(place, tables), Outcomes()
    return compose(
        jobs,
        lake,
        Sources(settings),
        answerer,
        settings.slots,
        watch,
        reader or TextInProcess(Recogniser(settings.threads)),
        decode,
        asking,
    )


def open_lake(settings: Settings) -> Place:
    """The lake that the settings name, made where it is missing.

    Raises:
        SetupError: `usage`, `store_unsafe`, `lake_newer`, `lake_older`, or what the store says.
        TransientError: the store does not answer.
    """
    if not settings.lake:
        message = "no lake is named: set REELPAGE_LAKE=s3://bucket/prefix"
        raise SetupError("usage", message)
    place = open_place(settings.lake, settings)
    probe(place)
    check_version(place, write=True)
    return place


class Outcomes:
    """Logs how jobs end, and counts it."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def made(self, record: Record, job: Job | None, part: Part) -> None:
        """See `Watch`."""
        if part.final:
            self.counts[part.outcome] += 1
            why = "; ".join(row["message"] for row in part.rows.get("failures", ()))
            said = log.warning if why else log.info
            said("job %s: %s %s", job.id if job else record.mark, part.outcome, why)


def _served(settings: Settings, place: Place) -> tuple[Answerer, Tables, LineReader | None]:
    from services.lander.client import LanderClient
    from services.model.client import GraphClient
    from services.model.served import Served

    client = GraphClient(settings.graph, settings.secret)
    lander = LanderClient(settings.graph, place.objects, settings.secret)
    return Served(client), lander, TextServed(client)


def _in_process(settings: Settings, place: Place) -> tuple[Answerer, Tables, LineReader | None]:
    from services.model.in_process import InProcess  # torch is loaded where it is used alone

    model = InProcess(checkpoint(settings).folder, settings.device, settings.threads)
    model.load()
    return model, GroupCommitter(place), None

"""Build: an ingest worker of the stream, put together from the settings."""

from functools import partial

from pipeline.decode import decode as sandboxed
from pipeline.land.commit import GroupCommitter, Tables
from pipeline.land.place import Place
from pipeline.recognise import Recogniser
from services.checkpoints.found import checkpoint
from services.ingest.board import Board
from services.ingest.claims import claim
from services.ingest.compose import ASKING, Jobs, Lake, compose
from services.ingest.meters import Meters
from services.ingest.sources import Sources
from services.ingest.subject import Answerer, Decode, LineReader
from services.ingest.topic_log import TopicLog
from services.ingest.worker import Worker
from services.model.text import TextInProcess, TextServed
from services.patience import patiently
from services.settings import Settings
from services.storage.lakes import open_shared


def build(settings: Settings) -> Worker:
    """A worker, ready to run.

    Where the settings name a graph, that runs the model and commits for many workers; else this
    process does both. A lander that they name commits in any case. Waits while the store or the
    graph do not answer, and while another process has the lake's folder alone.

    Raises:
        SetupError: `usage`, `store_unsafe`, or what the store or the model say.
    """
    place = open_shared(settings)
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
    meters = Meters()
    lake = Lake(place, tables, told=meters.landed)
    return compose(
        jobs,
        lake,
        Sources(settings),
        answerer,
        settings.slots,
        meters,
        reader or TextInProcess(Recogniser(settings.threads)),
        decode,
        asking,
    )


def _served(settings: Settings, place: Place) -> tuple[Answerer, Tables, LineReader | None]:
    from services.model.client import GraphClient
    from services.model.served import Served

    client = GraphClient(settings.graph, settings.secret)
    return Served(client), _lander(settings, place), TextServed(client)


def _in_process(settings: Settings, place: Place) -> tuple[Answerer, Tables, LineReader | None]:
    from services.model.in_process import InProcess  # torch is loaded where it is used alone

    model = InProcess(checkpoint(settings).folder, settings.device, settings.threads)
    model.load()
    return model, _lander(settings, place), None


def _lander(settings: Settings, place: Place) -> Tables:
    """Who commits: the lander that is named, or that of the graph, else this process."""
    from services.lander.client import LanderClient

    if url := settings.lander or settings.graph:
        return LanderClient(url, place.objects, settings.secret)
    return GroupCommitter(place)

"""Run: from the arguments of `reelpage index` or `retry` to a finished run, by one worker."""

import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pyarrow as pa
from rich.console import Console

from pipeline.consume import Input
from pipeline.land.batch import join_ranges
from pipeline.land.commit import GroupCommitter, Tables
from pipeline.land.lake import open_lake
from pipeline.land.perform import Performer
from pipeline.land.place import Place
from pipeline.land.protocol import Protocol
from pipeline.land.rows import Row, to_table
from pipeline.recognise import Recogniser
from schemas.jobs import Job, MediaReference, Task
from services.checkpoints.found import checkpoint
from services.index.busy import Busy
from services.index.estimate import Estimate, estimate
from services.index.file_log import GROUP, FileLog
from services.index.files import Given, found, opened
from services.index.progress import Progress, bottleneck, live
from services.index.summary import Summary, run_row
from services.index.watch import RunWatch
from services.ingest.board import Board
from services.ingest.compose import ASKING, Lake, compose
from services.ingest.recipe import Recipe, parse_plan
from services.ingest.sources import Sources
from services.model.in_process import InProcess
from services.model.kept import KeptFeatures
from services.model.text import TextInProcess
from services.settings import Settings

_LINGER_S: Final = 1.0


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    Attributes:
        lake: folder of the tables.
        command: as it was given.
        inputs: paths, folders and URLs ...
        sample: ... how their frames are chosen ...
        tasks: ... and what they are asked;
        again: or jobs that failed before.
        model: folder or address of a checkpoint; empty for that of the settings.
        quiet: whether to show no progress.
        keep_features: whether the lake keeps what the tower makes of pictures.
    """

    lake: Path
    command: str
    inputs: tuple[str, ...] = ()
    sample: str = "1fps"
    tasks: tuple[Task, ...] = ()
    again: tuple[Job, ...] = ()
    model: str = ""
    quiet: bool = False
    keep_features: bool = False


def plan(request: Request, settings: Settings) -> Estimate:
    """Totals and time of a run, without starting it.

    Raises:
        SetupError: `usage`, `model_missing` or `model_unsupported`.
    """
    model = _model(request, settings)
    recipe = _recipe(request, model)
    with tempfile.TemporaryDirectory(prefix="reelpage-") as folder:
        inputs = _opened(_jobs(request, Summary("plan")), settings, Path(folder))
        return estimate((source for _, source in inputs), recipe, model)


def index(request: Request, settings: Settings, console: Console) -> Summary:
    """Run all stages over the inputs.

    Raises:
        SetupError: before anything starts, when the lake cannot be written on, or with the first
            question, if the model cannot be loaded.
    """
    started, summary = datetime.now(UTC), Summary(uuid.uuid4().hex[:16])
    model = _model(request, settings)
    recipe = _recipe(request, model)
    given = _jobs(request, summary)
    summary.inputs = len(given)
    with (
        open_lake(request.lake) as place,
        GroupCommitter(place, delay_s=0.0) as tables,
        tempfile.TemporaryDirectory(prefix="reelpage-") as folder,
    ):
        revision = model.model().revision
        model.kept = KeptFeatures(place.objects, revision, writes=request.keep_features)
        progress, board = Progress(total_inputs=len(given)), Board()
        files = FileLog(board, _opened(given, settings, Path(folder)))
        watch = RunWatch(files, progress, summary)
        lake = Lake(place, tables, _LINGER_S, watch.landed)
        busy = Busy(TextInProcess(Recogniser(settings.threads)))
        worker = compose(
            files.jobs(summary.run_id),
            lake,
            files,
            model,
            settings.slots,
            watch,
            busy,
            busy.decode,
            ASKING,
        )
        progress.seconds = lambda: {**busy.seconds, **model.seconds, "land": worker.landing_s}
        with live(progress, console, quiet=request.quiet):
            worker.run()
        summary.check()
        summary.busy = {name: round(share, 3) for name, share in progress.busy.items()}
        summary.bottleneck = bottleneck(summary.busy)
        _land(place, tables, run_row(recipe, summary, started, request.command))
    return summary


def _model(request: Request, settings: Settings) -> InProcess:
    """The model; it is loaded once something has to be asked."""
    found = checkpoint(settings, request.model, quiet=request.quiet)
    return InProcess(found.folder, settings.device, settings.threads)


def _recipe(request: Request, model: InProcess) -> Recipe:
    """What the run does to an input, for its own row."""
    facts = model.model()
    sample, tasks = request.sample, request.tasks
    if request.again:
        sample, tasks = request.again[0].sample, request.again[0].tasks
    return Recipe(parse_plan(sample), tasks, facts.name, facts.revision)


def _jobs(request: Request, summary: Summary) -> list[tuple[Job, Input | None]]:
    """The jobs of a run, and why one of them cannot be worked on."""
    if request.again:
        return [(_numbered(job, summary.run_id, n), None) for n, job in enumerate(request.again)]
    jobs: list[tuple[Job, Input | None]] = []
    ignored: Counter[str] = Counter()
    for number, one in enumerate(found(request.inputs, ignored)):
        broken = one if isinstance(one, Input) else None
        media = MediaReference(one.uri) if isinstance(one, Input) else one
        job = Job("", media, request.tasks, sample=request.sample)
        jobs.append((_numbered(job, summary.run_id, number), broken))
    summary.ignored = dict(ignored)
    return jobs


def _numbered(job: Job, run_id: str, number: int) -> Job:
    return replace(job, id=f"{run_id}-{number}")


def _opened(
    jobs: Sequence[tuple[Job, Input | None]], settings: Settings, folder: Path
) -> Iterator[Given]:
    """Jobs with their media, one at a time; downloads go below a folder."""
    sources = Sources(replace(settings, roots=(Path("/"),)))  # whoever runs this may read it
    for job, broken in jobs:
        yield job, broken or opened(job, sources, folder / job.id)


def _land(place: Place, tables: Tables, row: Row) -> None:
    protocol = Protocol(join_ranges, pa.table({}))
    rows, app = to_table("runs", [row]), f"{GROUP}/run/{row['run_id']}"
    Performer(tables, place.objects).run(protocol.append("runs", app, 0, rows))

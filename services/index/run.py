"""Indexing: from the arguments of `reelpage index` or `retry` to a finished run."""

import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from pipeline.consume import Input, failed_input, find_files, open_input
from pipeline.decode import DecodePlan
from pipeline.land.lake import Lake
from schemas.errors import ReelpageError
from schemas.jobs import Task
from services.index.estimate import Estimate, estimate
from services.index.local import LocalRun
from services.index.mend import Mend
from services.index.progress import Progress, live
from services.index.summary import Summary, land_run
from services.ingest.fetch import fetch, is_url
from services.ingest.recipe import Recipe, parse_sampling, parse_tasks
from services.model.reader import Reader, model_facts, set_threads
from services.settings import Settings


@dataclass(frozen=True)
class Request:
    """What the user asked for."""

    inputs: tuple[str, ...]
    lake: Path
    tasks: str
    questions: tuple[str, ...]
    sample: str
    model: Path | None
    command: str
    quiet: bool = False
    retry_failed: bool = False
    given_tasks: tuple[Task, ...] | None = None
    pages: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def plan(request: Request, settings: Settings) -> Estimate:
    """Totals and time of a run, without starting it."""
    recipe, reader = _prepare(request, settings)
    with _files(request.inputs) as files:
        return estimate(files, recipe, reader)


def index(request: Request, settings: Settings, console: Console) -> Summary:
    """Run all stages over the inputs.

    Raises:
        SetupError: before anything starts, or when the lake cannot be written on.
    """
    started, run_id = datetime.now(UTC), uuid.uuid4().hex[:16]
    recipe, reader = _prepare(request, settings)
    with Lake(request.lake) as lake, _files(request.inputs) as files:
        progress = Progress(total_bytes=sum(map(_size, files)))
        run = LocalRun(lake, recipe, reader, progress, run_id, retry_failed=request.retry_failed)
        with live(progress, console, quiet=request.quiet):
            summary = run.run(files)
        land_run(lake, recipe, summary, started, request.command)
    return summary


def mend(request: Request, settings: Settings, console: Console) -> Summary:
    """Try the request's failed pages again.

    Raises:
        SetupError: before anything starts, or when the lake cannot be written on.
    """
    started, run_id = datetime.now(UTC), uuid.uuid4().hex[:16]
    recipe, reader = _prepare(request, settings)
    with Lake(request.lake) as lake:
        progress = Progress()
        run = Mend(lake, recipe, reader, progress, run_id)
        with live(progress, console, quiet=request.quiet):
            summary = run.run({Path(uri): numbers for uri, numbers in request.pages.items()})
        land_run(lake, recipe, summary, started, request.command)
    return summary


def _prepare(request: Request, settings: Settings) -> tuple[Recipe, Reader]:
    """Check everything that can be wrong before the first file is opened."""
    tasks = request.given_tasks
    if tasks is None:
        tasks = parse_tasks(request.tasks, request.questions)
    sampling = parse_sampling(request.sample)
    facts = model_facts(settings.model_directory(request.model))
    set_threads(settings.threads)
    recipe = Recipe(
        DecodePlan(sampling, facts.min_pixels, facts.max_pixels), tasks, facts.name, facts.revision
    )
    return recipe, Reader(facts, settings.device)


@contextmanager
def _files(arguments: Iterable[str]) -> Iterator[list[Path | Input]]:
    """The inputs behind paths, folders and URLs; downloads live as long as the block."""
    with tempfile.TemporaryDirectory(prefix="reelpage-") as folder:
        found: list[Path | Input] = []
        for index, argument in enumerate(arguments):
            if is_url(argument):
                found.append(_download(argument, Path(folder) / f"{index:06}"))
            else:
                found += find_files([Path(argument)])
        yield found


def _download(url: str, target: Path) -> Input:
    if url.startswith("file://"):
        return open_input(Path(url.removeprefix("file://")), url)
    try:
        fetch(url, target)
    except ReelpageError as error:
        return failed_input(url, error)
    return open_input(target, url)


def _size(file: Path | Input) -> int:
    if isinstance(file, Input):
        return file.size
    return file.stat().st_size if file.exists() else 0

"""Command line of `submit`: files become jobs while they are found, and may be waited for."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from schemas.errors import SetupError
from services.cli.shared import (
    Ask,
    AskVideo,
    Budget,
    Dpi,
    Inputs,
    Json,
    Sample,
    Tasks,
    Width,
    each_line,
    err,
    ignored_line,
    say,
    stream_settings,
)
from services.settings import Settings

if TYPE_CHECKING:
    from services.submit.jobs import Made, Question, Submission

Stream = Annotated[str, typer.Option(help="Send the files as chunks of this live stream.")]
First = Annotated[int, typer.Option(min=0, help="Number of the stream's first chunk.")]
Recorded = Annotated[
    str, typer.Option(help="When the first chunk began, such as 2026-03-01T08:00:00Z.")
]
Deadline = Annotated[float | None, typer.Option(help="Seconds after which nothing is retried.")]
Wait = Annotated[bool, typer.Option("--wait", help="Until all has landed; 1 if a job failed.")]
_INTERRUPTED: Final = 130


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(submit)


def submit(
    inputs: Inputs,
    tasks: Tasks = "text,caption",
    ask: Ask = None,
    ask_video: AskVideo = None,
    sample: Sample = "1fps",
    width: Width = None,
    dpi: Dpi = None,
    budget: Budget = "",
    stream: Stream = "",
    first: First = 0,
    recorded: Recorded = "",
    deadline: Deadline = None,
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Send files, folders, URLs or s3:// prefixes to the workers as jobs.

    What is sent twice is indexed once: the same command again goes on where it was cut.
    """
    from services.ingest.recipe import parse_tasks, sized
    from services.submit import jobs as work
    from services.topic.broker import PARTITIONS, make_topic

    found = stream_settings()
    sample = sized(sample, width, dpi, budget)
    asked = parse_tasks(tasks, ask or (), ask_video or ())
    question = work.Question(asked, sample, deadline)
    if wait and not found.lake:
        message = "--wait looks into the lake: set REELPAGE_LAKE=s3://bucket/prefix"
        raise SetupError("usage", message)
    make_topic(found, PARTITIONS)
    ignored: Counter[str] = Counter()
    if stream:
        files = [Path(one) for one in each_line(inputs)]
        made = work.chunk_jobs(files, stream, first, question, parse_time(recorded))
    else:
        made = work.jobs(each_line(inputs), question, found, ignored)
    _report(_send(made, found, as_json), ignored, question, found, wait, as_json)


def _report(
    submission: "Submission",
    ignored: Counter[str],
    question: "Question",
    found: Settings,
    wait: bool,
    as_json: bool,
) -> None:
    """Say what became of a submission, once it has landed where that is waited for."""
    said: dict[str, Any] = {
        "sent": len(submission.sent),
        "failed": submission.failed,
        "errors": submission.errors,
        "ignored": ignored,
    }
    text = f"{len(submission.sent)} jobs sent, {submission.failed} inputs refused"
    lost = 0
    if wait:
        lost = _wait(submission, question, found, as_json)
        indexed = len(submission.sent) - lost
        said["landed"] = {"indexed": indexed, "failed": lost}
        text += f"; {indexed} indexed, {lost} failed"
    say(said, text + ignored_line(ignored), as_json)
    if submission.failed or lost:
        raise typer.Exit(1)


def parse_time(text: str) -> int | None:
    """UTC microseconds of an ISO 8601 time; UTC where it names no zone; None for no text.

    Raises:
        SetupError: `usage`.
    """
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"--recorded {text}: give a time such as 2026-03-01T08:00:00Z"
        raise SetupError("usage", message) from error
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(zoned.timestamp() * 1_000_000)


def _send(made: "Iterator[Made]", found: Settings, as_json: bool) -> "Submission":
    """Send jobs, with a bar whose end is known when the last one is found."""
    from services.submit.jobs import Submission, send
    from services.topic.broker import Sender

    submission, shown = Submission(), 0
    with _bar("sent", None, quiet=as_json) as show, closing(Sender(found)) as sender:
        for _ in send(made, sender, submission):
            show(len(submission.sent))
            for code, message in [] if as_json else submission.errors[shown:]:
                err.print(f"[red]{code}[/red]: {escape(message)}", highlight=False, soft_wrap=True)
            shown = len(submission.errors)
    return submission


def _wait(submission: "Submission", question: "Question", found: Settings, as_json: bool) -> int:
    """Wait until all has landed; returns how many jobs failed."""
    from services.storage.places import open_place
    from services.submit import arrival

    place = open_place(found.lake, found)
    try:
        with _bar("landed", len(submission.sent), quiet=as_json) as show:
            arrival.wait(submission.sent, found, place, show)
        return arrival.count_failed(submission.sent, question, place)
    except KeyboardInterrupt:
        _leave(submission, found)


def _leave(submission: "Submission", found: Settings) -> NoReturn:
    err.print(
        f"the {len(submission.sent)} jobs that were sent go on; see: reelpage status {found.lake}",
        markup=False,
        soft_wrap=True,
    )
    raise typer.Exit(_INTERRUPTED) from None


@contextmanager
def _bar(what: str, total: int | None, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A bar of how many jobs are so far; on a terminal only."""
    if quiet or not err.is_terminal:
        yield lambda _: None
        return
    columns = (
        TextColumn(f"jobs {what}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}" + (f" of {total:,}" if total is not None else "")),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err) as progress:
        task = progress.add_task(what, total=total, rate="")

        def show(count: int) -> None:
            speed = progress.tasks[0].speed
            rate = f"{speed:,.0f}/s" if speed else ""
            progress.update(task, completed=count, rate=rate)

        yield show
        progress.update(task, total=progress.tasks[0].completed)

"""Command line of the stream: `up`, `down`, `submit`, `worker`, `serve`."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from schemas.errors import SetupError
from services.cli.shared import (
    STACK,
    Ask,
    Inputs,
    Json,
    JsonLines,
    Sample,
    Tasks,
    err,
    lines,
    say,
    settings,
)

T = TypeVar("T")
Folder = Annotated[Path, typer.Option("--data", help="Folder of data, logs and settings.")]
Workers = Annotated[int, typer.Option(min=0, help="Ingest workers.")]
Root = Annotated[
    list[Path] | None, typer.Option(help="Folder whose files jobs may name; repeatable.")
]
Serve = Annotated[bool, typer.Option(help="Run the model in Ray Serve, not in the workers.")]
Stream = Annotated[str, typer.Option(help="Send the files as chunks of this live stream.")]
First = Annotated[int, typer.Option(min=0, help="Number of the stream's first chunk.")]
Recorded = Annotated[
    str, typer.Option(help="When the first chunk began, such as 2026-03-01T08:00:00Z.")
]
Deadline = Annotated[float | None, typer.Option(help="Seconds after which nothing is retried.")]
Port = Annotated[int, typer.Option(help="Port of 127.0.0.1 to answer on.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (up, down, submit, worker, serve):
        app.command()(command)


def up(
    data: Folder = STACK,
    workers: Workers = 1,
    root: Root = None,
    serve: Serve = True,
    as_json: Json = False,
) -> None:
    """Start broker, object storage, Ray Serve and a worker on this machine.

    Jobs may name files below the current folder, or below each --root.
    """
    from services.stack.up import Stack

    roots = os.pathsep.join(str(folder.resolve()) for folder in root or [Path.cwd()])
    found = Stack(data).up(
        settings(),
        roots,
        workers=workers,
        serve=serve,
        say=lambda what: None if as_json else err.print(f"starting {what}"),
    )
    lake = found.environment["REELPAGE_LAKE"]
    text = "\n".join(f"{name:10} pid {pid}" for name, pid in found.processes.items())
    text += (
        f"\n\nreelpage submit PATHS\nreelpage status {lake}\n"
        f'reelpage query {lake} "select * from answers limit 20"\nreelpage down'
    )
    say(asdict(found), text, as_json)


def down(data: Folder = STACK, as_json: Json = False) -> None:
    """Stop what `up` started; the data stay."""
    from services.stack.up import Stack

    ended = Stack(data).down()
    say({"ended": ended}, "\n".join(f"ended {name}" for name in ended) or "nothing runs", as_json)


def submit(
    inputs: Inputs,
    tasks: Tasks = "caption,ocr",
    ask: Ask = None,
    sample: Sample = "1fps",
    stream: Stream = "",
    first: First = 0,
    recorded: Recorded = "",
    deadline: Deadline = None,
    as_json: Json = False,
) -> None:
    """Send files, folders, URLs or s3:// prefixes to the workers as jobs.

    What is sent twice is indexed once.
    """
    from services.ingest.recipe import parse_sampling, parse_tasks
    from services.stack.up import PARTITIONS
    from services.topic import submit as work
    from services.topic.broker import Sender, make_topic

    found = settings()
    parse_sampling(sample)
    question = work.Question(parse_tasks(tasks, tuple(ask or ())), sample, deadline)
    given = lines(inputs)
    make_topic(found, PARTITIONS)
    made = list(
        work.chunk_jobs([Path(one) for one in given], stream, first, question, parse_time(recorded))
        if stream
        else work.jobs(given, question, found)
    )
    sender, submission = Sender(found), work.Submission()
    try:
        work.send(_with_bar(made, quiet=as_json), sender, submission)
    finally:
        sender.close()
    for code, message in [] if as_json else submission.errors:
        err.print(f"[red]{code}[/red]: {escape(message)}", highlight=False, soft_wrap=True)
    text = f"{submission.sent} jobs sent, {submission.failed} inputs refused"
    say(asdict(submission), text, as_json)
    if submission.failed:
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


def worker() -> None:
    """Work on jobs until SIGTERM or Ctrl-C, then drain; configured by REELPAGE_* alone."""
    from services.ingest.build import build

    _log_lines()
    ingest = build(settings())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ingest.drain())
    ingest.run()
    logging.getLogger("reelpage").info("drained")
    if ingest.slots.busy:
        os._exit(0)  # a unit that takes long is made again by another worker


def serve(port: Port = 8000) -> None:
    """Run the model in Ray Serve until SIGTERM or Ctrl-C."""
    from services.graph import cluster
    from services.graph.application import deploy
    from services.graph.options import GraphOptions

    _log_lines()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    url = deploy(GraphOptions(), settings(), port)
    logging.getLogger("reelpage").info("the graph answers at %s", url)
    ended.wait()
    cluster.stop()


def _log_lines() -> None:
    """Log as JSON on standard error, without the chatter of libraries."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # it repeats what we say of a broker
    for name in ("reelpage", "services", "pipeline"):
        logging.getLogger(name).setLevel(logging.INFO)


def _with_bar(items: Sequence[T], *, quiet: bool) -> Iterator[T]:
    """The items, with a bar of how many were taken; on a terminal only."""
    columns = (
        TextColumn("jobs"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.speed:.0f}/s"),
        TimeRemainingColumn(),
    )
    if quiet or not err.is_terminal:
        yield from items
        return
    with Progress(*columns, console=err) as bar:
        yield from bar.track(items)

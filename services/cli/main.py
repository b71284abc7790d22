"""Command line: `reelpage COMMAND`. The only place that prints."""

import os
import shlex
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer
from rich.markup import escape

from schemas import __version__
from schemas.errors import InputError, ReelpageError, SetupError, TransientError
from services.cli import care, demo, kubernetes, models, operate, speed, stacks, stream, submit
from services.cli.shared import (
    Ask,
    AskVideo,
    Budget,
    Device,
    Dpi,
    Inputs,
    Json,
    LakeArgument,
    Model,
    Sample,
    Tasks,
    Width,
    err,
    ignored_line,
    lines,
    out,
    place_of,
    say,
    settings,
)

app = typer.Typer(
    name="reelpage",
    help="Point it at videos and PDFs, query them as tables.",
    epilog="Exit codes: 0 done, 1 some inputs failed, 2 wrong usage or set-up, 3 a backend could "
    "not be reached, 4 corrupt or incompatible lake, 70 a fault of reelpage, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_INTERRUPTED: Final = 130
_FAULT: Final = os.EX_SOFTWARE
To = Annotated[str, typer.Option("--to", metavar="LAKE", help="Folder of the tables.")]
OptionalLake = Annotated[
    str, typer.Argument(metavar="[LAKE]", help="The lake, a folder or s3://bucket/prefix.")
]
Plan = Annotated[bool, typer.Option("--plan", help="Print what would be read, and stop.")]


@app.command()
def index(
    inputs: Inputs,
    to: To = "lake",
    tasks: Tasks = "text,caption",
    ask: Ask = None,
    ask_video: AskVideo = None,
    sample: Sample = "1fps",
    width: Width = None,
    dpi: Dpi = None,
    budget: Budget = "",
    model: Model = "",
    device: Device = "",
    keep_features: Annotated[
        bool, typer.Option("--keep-features", help="Keep them, for later questions.")
    ] = False,
    plan: Plan = False,
    as_json: Json = False,
) -> None:
    """Index files, folders, URLs or paths on standard input (-); again: only what is missing."""
    from services.storage.places import local_folder

    folder = local_folder(to)
    from services.index import run as indexing
    from services.ingest.recipe import parse_tasks, sized

    sample = sized(sample, width, dpi, budget)
    request = indexing.Request(
        folder,
        _command(),
        tuple(lines(inputs)),
        sample,
        parse_tasks(tasks, ask or (), ask_video or ()),
        model=model,
        quiet=as_json,
        keep_features=keep_features,
    )
    if plan:
        _print_plan(indexing.plan(request, settings(device)), as_json)
        return
    _finish(indexing.index(request, settings(device), err), to, as_json)


@app.command()
def retry(
    lake: LakeArgument,
    where: Annotated[str, typer.Option(help="SQL condition on failures.")] = "true",
    model: Model = "",
    device: Device = "",
    as_json: Json = False,
) -> None:
    """Try failed inputs again, with the tasks and sampling of their run.

    In a lake of the stream, failed jobs are sent again; they go on from what failed.
    """
    if operate.is_stream(lake):
        operate.send_again(lake, where, as_json)
        return
    from services.index import run as indexing
    from services.inspect.failures import open_failures, retries
    from services.storage.places import local_folder

    folder, place = local_folder(lake), place_of(lake)
    again, left = retries(place, open_failures(place, where).to_pylist())
    if not again:
        text = "nothing to retry: no open failure fits"
        say({"retried": 0, "left": left}, text, as_json)
        return
    jobs = tuple(job for _, job in again)
    request = indexing.Request(folder, _command(), again=jobs, model=model, quiet=as_json)
    _finish(indexing.index(request, settings(device), err), lake, as_json)


@app.command()
def query(
    lake: LakeArgument,
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One statement, DuckDB's dialect.")],
    form: Annotated[str, typer.Option("--format", help="table, csv, json or parquet.")] = "table",
    as_json: Json = False,
) -> None:
    """Run SQL over the tables media, segments, frames, pages, lines, answers, failures, runs."""
    from pipeline.query.sql import Lake
    from services.cli.render import to_rich, write

    form = "json" if as_json else form
    if form not in ("table", "csv", "json", "parquet"):
        message = f"--format {form}: give table, csv, json or parquet"
        raise SetupError("usage", message)
    with Lake(place_of(lake)) as opened:
        rows = opened.stream(sql)
        if form == "table":
            out.print(to_rich(rows))
        else:
            write(rows, form, sys.stdout.buffer)  # type: ignore[arg-type]


@app.command()
def find(
    lake: LakeArgument,
    words: Annotated[str, typer.Argument(help='All of them: word, begin*, "a phrase".')],
    limit: Annotated[int, typer.Option(min=1, help="How many hits to print.")] = 20,
    as_json: Json = False,
) -> None:
    """Find words in lines, pages, subtitles and answers, with the medium and the time or page."""
    from pipeline.query.find import find as search
    from services.cli.render import hit_line

    hits = search(place_of(lake), words)
    first = list(islice(hits, limit))
    if as_json:
        say([asdict(hit) for hit in first], "", True)
        return
    for hit in first:
        out.print(hit_line(hit), soft_wrap=True)
    others = sum(1 for _ in hits)
    more = f", the first {limit} above; --limit prints more" if others else ""
    out.print(f"{len(first) + others} hits{more}")


@app.command()
def show(
    lake: LakeArgument,
    spot: Annotated[str, typer.Argument(metavar="MEDIA[@00:12:31|#page]")],
    picture: Annotated[Path | None, typer.Option(help="Write the picture to this file.")] = None,
    as_json: Json = False,
) -> None:
    """Show what is known of a medium, an instant or a page, and its picture."""
    from services.cli.blocks import blocks
    from services.cli.render import line_of_text, to_json
    from services.inspect import lake as inspect

    place = place_of(lake)
    found = inspect.show(place, inspect.parse_spot(spot))
    data = inspect.picture_bytes(place, found["picture"])
    if picture is not None:
        picture.write_bytes(data)
    if as_json:
        print(to_json(found))
        return
    for key, value in found["media"].items():
        out.print(f"{key:16} {escape(str(value))}", highlight=False)
    for row in found["lines"][:40]:
        out.print(line_of_text(row), soft_wrap=True)
    for row in found["answers"][:40]:
        at = f"{row['t_s']:.2f} s" if row["t_s"] is not None else f"page {row['unit_no']}"
        if row["unit"] == "segment":
            at = f"{row['start_s']:.2f}-{row['end_s']:.2f} s"
        out.print(f"{at:>16}  {row['task']:10} {escape(str(row['answer']))}", highlight=False)
    if picture is not None:
        out.print(f"picture written to {escape(str(picture))}")
    elif out.is_terminal:
        out.print(blocks(data, min(out.width, 80)))


@app.command()
def status(lake: OptionalLake = "", as_json: Json = False) -> None:
    """Show how many rows each table holds and the last run; of a stream, how far it is behind.

    Without LAKE, what `reelpage up` started on this machine.
    """
    if not lake:
        stacks.show(as_json)
        return
    from services.inspect import lake as inspect

    found = inspect.status(place_of(lake))
    rows = "\n".join(f"{name:10} {count:,}" for name, count in found["tables"].items())
    last = found["last_run"]
    text = f"{rows}\nopen failures: {found['open_failures']}"
    if last:
        text += (
            f"\nlast run {last['run_id']}: {last['inputs']} inputs = {last['indexed']} indexed"
            f" + {last['skipped']} skipped + {last['failed']} failed"
        )
    if operate.is_stream(lake):
        found["stream"], more = operate.stream_status(lake)
        text += f"\n{more}"
    say(found, text, as_json)


@app.command()
def errors(lake: LakeArgument, as_json: Json = False) -> None:
    """List the failures that no later attempt has mended."""
    from services.cli.render import to_rich
    from services.inspect.failures import open_failures

    found = open_failures(place_of(lake))
    if as_json:
        say(found.to_pylist(), "", True)
    elif found.num_rows:
        columns = ["code", "uri", "unit_no", "attempt", "message"]
        out.print(to_rich(found.select(columns).to_reader()))
    else:
        out.print("no open failures")


@app.command()
def verify(
    lake: LakeArgument,
    topic: Annotated[bool, typer.Option("--topic", help="Compare it with its jobs too.")] = False,
    as_json: Json = False,
) -> None:
    """Prove that the lake is whole: no gap, no duplicate, nothing missing.

    Traces that an interrupted run may leave are listed too, and are no failure.
    """
    from pipeline.query.verify import verify as check

    found = check(place_of(lake))
    if topic:
        found += operate.prove(lake)
    problems = [asdict(problem) | {"harmless": problem.harmless} for problem in found]
    lines = [f"{p['kind']:10} {p['table']:10} {p['message']}" for p in problems]
    say(problems, "\n".join(lines) or "no problems found", as_json)
    if not all(problem.harmless for problem in found):
        raise typer.Exit(4)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check the installation: packages, codecs, model, memory, disk."""
    from services.doctor import examine

    checks = list(examine(settings()))
    lines = [f"{'ok ' if c.ok else 'BAD'}  {c.name:14} {c.found}" for c in checks]
    say([asdict(check) for check in checks], "\n".join(lines), as_json)
    if not all(check.ok for check in checks):
        raise typer.Exit(2)


@app.callback(invoke_without_command=True)
def main_options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Point it at videos and PDFs, query them as tables."""
    if version:
        print(__version__)
        raise typer.Exit


def _command() -> str:
    """The command as it was given, without the secrets of addresses; it is kept in `runs`."""
    from pipeline.consume import masked

    return masked(shlex.join(sys.argv[1:]))


def _print_plan(found: Any, as_json: bool) -> None:  # noqa: ANN401 - imported where needed
    minutes = found.seconds / 60
    text = (
        f"files          {found.files:,} ({found.bytes:,} bytes)\n"
        f"video          {found.video_hours:.2f} hours, {found.frames:,} frames\n"
        f"pages          {found.pages:,}\n"
        f"visual tokens  {found.visual_tokens:,}\n"
        f"model time     about {minutes:.1f} minutes on this machine"
    )
    text += "".join(f"\nwould fail     {reason}" for reason in found.unreadable)
    say(found.to_dict(), text, as_json)


def _finish(summary: Any, lake: str, as_json: bool) -> None:  # noqa: ANN401
    """Report a run and leave with its exit code."""
    for code, message in [] if as_json else summary.errors:
        err.print(f"[red]{code}[/red]: {escape(message)}", highlight=False, soft_wrap=True)
    text = (
        f"{summary.inputs} inputs = {summary.indexed} indexed + {summary.skipped} skipped"
        f" + {summary.failed} failed"
    )
    if summary.failed_pages:
        text += f"; {summary.failed_pages} pages failed"
    text += ignored_line(summary.ignored)
    text += f'\ntables in {lake}: try  reelpage query {lake} "select * from answers limit 20"'
    say(asdict(summary) | {"lake": lake}, text, as_json)
    if summary.exit_code:
        raise typer.Exit(summary.exit_code)


for more in (stacks, submit, stream, care, demo, models, speed, kubernetes):
    more.add_to(app)


def run(command: Callable[..., Any] = app) -> NoReturn:
    """Run the command line; every error of ours is one line and an exit code."""
    try:
        command(standalone_mode=True)
    except SystemExit as end:
        if end.code == _INTERRUPTED:  # what typer makes of Ctrl-C
            err.print("interrupted; run the same command again to go on")
            _leave(_INTERRUPTED)
        raise
    except ReelpageError as error:
        err.print(f"[red]{error.code}[/red]: {escape(error.message)}", soft_wrap=True)
        _leave(exit_code(error))
    except Exception as fault:  # noqa: BLE001 - whatever it is, it has an exit code of its own
        traceback.print_exception(fault)
        name = type(fault).__name__
        err.print(
            f"[red]internal[/red]: a fault of reelpage ({name}); report it with the lines above",
            soft_wrap=True,
        )
        _leave(_FAULT)
    sys.exit(0)


def _leave(code: int) -> NoReturn:
    """End at once: threads may still be at work in a library, such as the model or a store's.

    An interpreter that ends in an orderly way would crash them, and the exit code would be lost.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def exit_code(error: ReelpageError) -> int:
    """Exit code of an error that ended a command: see the design's list."""
    if isinstance(error, InputError):
        return 1
    if isinstance(error, TransientError):
        return 3
    return 4 if error.code in ("lake_newer", "lake_older", "lake_corrupt") else 2

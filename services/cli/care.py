"""Care: `reelpage compact`, `vacuum` and `forget`, which keep a lake in order."""

import re
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Annotated, Final

import typer

from schemas.errors import InputError, SetupError, TransientError
from services.cli.shared import Json, LakeArgument, err, place_of, say

_MEDIA_ID: Final = re.compile(r"[0-9a-f]{64}")


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (compact, vacuum, forget):
        app.command()(command)


Every = Annotated[float, typer.Option(min=0, help="Hours; again and again until Ctrl-C.")]


def compact(lake: LakeArgument, every: Every = 0.0, as_json: Json = False) -> None:
    """Rewrite small data files to larger ones; no row changes."""
    _repeat(partial(_compact, lake, as_json), every)


def _compact(lake: str, as_json: bool) -> None:
    from pipeline.land.maintenance.compact import compact as run

    changed = run(place_of(lake))
    lines = [
        f"{table:10} {before} files, now {after}" for table, (before, after) in changed.items()
    ]
    found = {
        table: {"before": before, "after": after} for table, (before, after) in changed.items()
    }
    say(found, "\n".join(lines) or "nothing to compact", as_json)


def vacuum(
    lake: LakeArgument,
    hours: Annotated[int, typer.Option(help="Keep files that are younger.")] = 168,
    every: Every = 0.0,
    as_json: Json = False,
) -> None:
    """Remove data files that no table needs any more."""
    _repeat(partial(_vacuum, lake, hours, as_json), every)


def _vacuum(lake: str, hours: int, as_json: bool) -> None:
    from pipeline.land.maintenance.compact import vacuum as run

    removed = run(place_of(lake), hours)
    lines = [f"{table:10} {count} files removed" for table, count in removed.items() if count]
    say(removed, "\n".join(lines) or "nothing to remove", as_json)


def _repeat(action: Callable[[], None], hours: float) -> None:
    """Act once, or on a schedule, which a store that is away for a while does not end."""
    while True:
        try:
            action()
        except TransientError as error:
            if not hours:
                raise
            err.print(f"{error.code}: {error.message}", markup=False, soft_wrap=True)
        if not hours:
            return
        time.sleep(hours * 3600)


def forget(
    lake: LakeArgument,
    medium: Annotated[str, typer.Argument(metavar="MEDIA", help="Its id, name or address.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Remove everything of a medium for good, prove it, and never index it again."""
    from pipeline.land.maintenance.forget import forget as run
    from services.inspect.lake import find_medium

    place = place_of(lake)
    try:
        media_id = str(find_medium(place, medium)["media_id"])
    except InputError:
        if not _MEDIA_ID.fullmatch(medium):
            raise
        media_id = medium  # of one that has failed, or that was forgotten before
    if not yes:
        if as_json:
            message = "--json cannot ask; add --yes to remove the medium for good"
            raise SetupError("usage", message)
        typer.confirm(
            f"Remove everything of {medium} ({media_id}) from {lake} for good?", abort=True
        )
    done = run(place, media_id)
    rows = ", ".join(f"{count} {table}" for table, count in done.rows.items() if count)
    text = (
        f"{media_id} is forgotten\n"
        f"rows removed   {rows or 'none'}\n"
        f"data files     {sum(done.files.values())} removed\n"
        f"objects        {', '.join(f'{n} {name}' for name, n in done.objects.items())}\n"
        "read again: all tables, data files and objects; no trace is left"
    )
    say(asdict(done), text, as_json)

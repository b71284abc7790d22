"""Demo: `reelpage demo`, what the model that ships sees in the samples that ship."""

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from services.cli.shared import Json, err, out, place_of, settings

SAMPLES: Final = Path(__file__).parent / "samples"
"""Links to the folder of that name in a clone, files in a wheel."""
_SEEN: Final = """
    select name, coalesce(t_s, unit_no) as 'second or page', task, answer
    from answers join media using (media_id, sampling) order by name desc, unit_no, task limit 24"""


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(demo)


def demo(
    to: Annotated[str, typer.Option("--to", metavar="LAKE", help="Folder of the tables.")] = "lake",
    as_json: Json = False,
) -> None:
    """Index the samples that ship with reelpage, and show what the model saw."""
    from pipeline.query.sql import query
    from services.cli.render import to_bytes, to_rich
    from services.index.run import Request, index
    from services.ingest.recipe import parse_tasks
    from services.storage.places import local_folder

    inputs = tuple(str(path) for path in sorted(SAMPLES.iterdir()))
    tasks = parse_tasks("caption,ocr", ())
    request = Request(local_folder(to), "demo", inputs, tasks=tasks, quiet=as_json)
    summary = index(request, settings(), err)
    seen = query(place_of(to), _SEEN)
    if as_json:
        sys.stdout.buffer.write(to_bytes(seen, "json"))
    else:
        out.print(to_rich(seen))
        print(f"try  reelpage query {to} \"from answers where kind = 'video' limit 9\"")
    raise typer.Exit(summary.exit_code)

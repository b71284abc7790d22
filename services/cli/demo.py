"""Demo: `reelpage demo`, what is read in the samples that ship."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer

from services.cli.shared import Json, err, out, place_of, say, settings

SAMPLES: Final = Path(__file__).parent / "samples"
"""Links to the folder of that name in a clone, files in a wheel."""
_READ: Final = """
    select m.name as medium,
           if(unit = 'page', 'page ' || unit_no, l.start_us // 1000000 || ' s') as 'where', text
    from lines l join media m using (media_id, sampling)
    where unit = 'segment' and source = 'recognised' and length(text) > 1
       or m.name in ('signs.pdf', 'phone.png') or m.name = 'report.pdf' and unit_no <= 2
    qualify row_number() over (partition by m.name order by unit_no, line_no) <= 6
    order by m.name, unit_no, line_no"""
"""The first lines of each medium."""
_TOY: Final = """
    select m.name as medium, t_us // 1000000 || ' s' as 'where', answer as 'the toy says'
    from answers a join media m using (media_id, sampling)
    where a.kind = 'video' and task = 'caption' and answer <> 'text'
    qualify row_number() over (partition by answer order by t_us) = 1
    order by t_us"""
"""What the checkpoint that ships was made for: shapes and their colours."""
_WORD: Final = "gate"


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(demo)


def demo(
    to: Annotated[str, typer.Option("--to", metavar="LAKE", help="Folder of the tables.")] = "lake",
    as_json: Json = False,
) -> None:
    """Index the samples that ship with reelpage, and show what was read in them."""
    from pipeline.query.find import find
    from pipeline.query.sql import query
    from services.cli.render import hit_line, to_rich
    from services.index.run import Request, index
    from services.ingest.recipe import parse_tasks
    from services.storage.places import local_folder

    inputs = tuple(str(path) for path in sorted(SAMPLES.iterdir()))
    tasks = parse_tasks("text,caption", ())
    request = Request(local_folder(to), "demo", inputs, tasks=tasks, quiet=as_json)
    summary = index(request, settings(), err)
    place = place_of(to)
    read, toy, hits = query(place, _READ), query(place, _TOY), list(find(place, _WORD))
    if as_json:
        found = [asdict(hit) for hit in hits]
        value = {"read": read.to_pylist(), "found": found, "toy": toy.to_pylist()}
        say(value, "", True)
    else:
        out.print("Lines of text, read in pages and in a video:")
        out.print(to_rich(read))
        out.print(f'\nreelpage find {to} "{_WORD}"')
        for hit in hits:
            out.print(hit_line(hit), soft_wrap=True)
        out.print("\nCaptions by the toy model that ships, which knows a few coloured shapes:")
        out.print(to_rich(toy))
        out.print(f'\nNext: reelpage query {to} "from lines"; reelpage index FOLDER --to {to}')
    raise typer.Exit(summary.exit_code)

"""Demo: `reelpage demo`, what is read in the samples that ship."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from services.cli.shared import Device, Json, err, out, place_of, say, settings

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.query.find import Hit

SAMPLES: Final = Path(__file__).parent / "samples"
"""Links to the folder of that name in a clone, files in a wheel."""
_SHAPES: Final = "scenes.mkv"
"""What the toy model was made for; about other media it has nothing to say, and is not asked."""
_ON_PAGES: Final = """
    select m.name as medium, unit_no as page, if(source = 'pdf', 'PDF', 'picture') as 'read in',
           string_agg(text, ' · ' order by line_no) as lines
    from lines l join media m using (media_id, sampling)
    where list_contains(?, m.name) and unit = 'page' and (m.name <> 'report.pdf' or unit_no <= 2)
    group by m.name, unit_no, source
    order by m.name, unit_no"""
"""The lines of each page and picture, in the text of a PDF itself or in what is to be seen."""
_ON_SCREEN: Final = """
    with shown as (
        select m.name as medium, l.*
        from lines_joined l join media m using (media_id, sampling)
        where list_contains(?, m.name) and source = 'recognised')
    select medium, start_us // 1000000 || ' s - ' || end_us // 1000000 || ' s' as 'stands',
           string_agg(text, ' · ' order by y0) as lines
    from shown
    group by medium, start_us, end_us
    order by medium, start_us"""
"""The lines of videos; those that come and go together stand together."""
_TOY: Final = """
    select m.name as medium,
           min(t_us) // 1000000 || ' s - ' || max(t_us) // 1000000 || ' s' as 'in frames of',
           answer as 'the toy says'
    from answers a join media m using (media_id, sampling)
    where list_contains(?, m.name) and task = 'caption' and answer <> 'text'
    group by medium, answer
    order by min(t_us)"""
_WORDS: Final = ("ridership", "harbour")
"""One stands in the talk alone, the other in most media."""


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(demo)


def demo(
    to: Annotated[str, typer.Option("--to", metavar="LAKE", help="Folder of the tables.")] = "lake",
    device: Device = "",
    as_json: Json = False,
) -> None:
    """Index the samples that ship with reelpage, and show what was read in them."""
    from pipeline.query.find import find
    from pipeline.query.sql import query

    exit_code = _indexed(to, device, quiet=as_json)
    place = place_of(to)
    texts: list[object] = [[path.name for path in _texts()]]  # the lake may hold other media too
    pages, screen = query(place, _ON_PAGES, texts), query(place, _ON_SCREEN, texts)
    toy = query(place, _TOY, [[_SHAPES]])
    hits = {word: list(find(place, word)) for word in _WORDS}
    if as_json:
        found = {word: [asdict(hit) for hit in some] for word, some in hits.items()}
        value = {"pages": pages.to_pylist(), "screen": screen.to_pylist()}
        say(value | {"found": found, "toy": toy.to_pylist()}, "", True)
    else:
        _show(to, pages, screen, toy, hits)
    raise typer.Exit(exit_code)


def _texts() -> list[Path]:
    return [path for path in sorted(SAMPLES.iterdir()) if path.name != _SHAPES]


def _indexed(to: str, device: str, *, quiet: bool) -> int:
    """Read the text of all samples but one, and ask the toy about that; how it ended."""
    from services.index.run import Request, index
    from services.ingest.recipe import parse_tasks
    from services.storage.places import local_folder

    codes = []
    for paths, task in ((_texts(), "text"), ([SAMPLES / _SHAPES], "caption")):
        inputs, tasks = tuple(map(str, paths)), parse_tasks(task, ())
        request = Request(local_folder(to), "demo", inputs, tasks=tasks, quiet=quiet)
        codes.append(index(request, settings(device), err).exit_code)
    return max(codes)


def _show(
    to: str, pages: "pa.Table", screen: "pa.Table", toy: "pa.Table", hits: "dict[str, list[Hit]]"
) -> None:
    from services.cli.render import hit_line, to_rich

    out.print("Lines of pages and pictures, from a PDF's own text or read in the picture:")
    out.print(to_rich(pages.to_reader()))
    out.print("\nLines of a talk, from the second they appear to the second they are gone:")
    out.print(to_rich(screen.to_reader()))
    for word, found in hits.items():
        out.print(f"\n$ reelpage find {to} {word}", highlight=False)
        for hit in found:
            out.print(hit_line(hit), soft_wrap=True)
    out.print("\nCaptions by the toy model that ships, which knows a few coloured shapes:")
    out.print(to_rich(toy.to_reader()))
    out.print("\nNext:", highlight=False)
    out.print(f'  reelpage query {to} "from lines"', highlight=False, soft_wrap=True)
    out.print(f"  reelpage index FOLDER --to {to}", highlight=False, soft_wrap=True)

"""Models: `reelpage models`, what the recogniser of text reads with."""

from typing import Annotated, Any

import typer

from schemas.errors import SetupError
from services.cli.shared import Json, err, out, say


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(models)


def models(
    fetch: Annotated[
        str, typer.Option(metavar="SCRIPTS", help="Fetch these: korean,arabic,... or all.")
    ] = "",
    mirror: Annotated[
        str, typer.Option(metavar="URL", help="Address of a folder that has the files too.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Show what text can be read in, and fetch models of further scripts, once."""
    from pipeline.recognise import further
    from services.hub import fetch_model

    known = further()
    wanted = list(known) if fetch == "all" else list(filter(None, fetch.split(",")))
    if strange := [name for name in wanted if name not in known]:
        message = f"--fetch {','.join(strange)}: no such script; known are {', '.join(known)}"
        raise SetupError("usage", message)
    for name in wanted:
        err.print(f"fetching {name} ...", highlight=False)
        fetch_model(known[name], mirror)
    rows = _rows()
    if as_json:
        say({"recogniser": rows}, "", True)
        return
    for row in rows:
        out.print(f"{row['reads']:32} {row['state']}", highlight=False, soft_wrap=True)


def _rows() -> list[dict[str, Any]]:
    from pipeline.recognise import MODEL, fetched, further, revision

    here = {one.name for one in fetched()}
    own = {"reads": "Latin, Chinese, Japanese", "state": f"with reelpage: {MODEL}"}
    return [
        own | {"path": None, "revision": revision()},
        *(
            {
                "reads": name,
                "state": f"here: {one.path}" if name in here else f"--fetch {name}",
                "path": str(one.path) if name in here else None,
                "revision": one.sha256[:12],
            }
            for name, one in further().items()
        ),
    ]

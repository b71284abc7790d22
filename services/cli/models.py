"""Models: `reelpage models`, what is on this machine and what it takes to run."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from schemas.errors import SetupError
from services.cli.shared import Device, Json, err, out, say, settings

if TYPE_CHECKING:
    from services.checkpoints.fit import Fit

_GIB: Final = 1 << 30


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
    device: Device = "",
    as_json: Json = False,
) -> None:
    """Show the models that are here, what they need, and what text can be read in.

    `--fetch` gets models of further scripts, once. A model of a hub is fetched by the first command
    that names it with `--model`.
    """
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
    checkpoints, readers = ([] if fetch else _checkpoints(device)), _readers()
    if as_json:
        shown = [asdict(one) for one in checkpoints]
        say({"checkpoints": shown, "recogniser": readers}, "", True)
        return
    for one in checkpoints:
        out.print("\n".join(_told(one)), highlight=False, soft_wrap=True)
    for row in readers:
        out.print(f"{row['reads']:32} {row['state']}", highlight=False, soft_wrap=True)


def _checkpoints(device: str) -> list["Fit"]:
    """Checkpoints on this machine, with what they need of a device.

    Raises:
        SetupError: `usage` or `device_missing`.
    """
    from pipeline.vlm.device import check_device
    from services.checkpoints.fit import fit
    from services.checkpoints.listed import listed
    from services.model.device import resolve

    chosen = settings(device)
    name = resolve(chosen.device)
    check_device(name)
    return [fit(one, name) for one in listed(chosen)]


def _told(one: "Fit") -> list[str]:
    """A checkpoint in words."""
    verdict = "fits" if one.fits else "does not fit"
    needed, has = (one.weight_bytes + one.kv_bytes) / _GIB, one.device_bytes / _GIB
    return [
        one.address,
        f"  {one.parameters / 1e9:.3f} billion parameters, {one.file_bytes / _GIB:.2f} GiB"
        f" of files{', quantised' if one.quantised else ''}",
        f"  weights {one.weight_bytes / _GIB:.2f} GiB, {one.kv_bytes / _GIB:.3f} GiB for"
        f" {one.context:,} tokens; up to {one.picture_tokens:,} tokens a picture",
        f"  {verdict} {one.device}: needs {needed:.2f} GiB of {has:.1f}",
    ]


def _readers() -> list[dict[str, Any]]:
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

"""Models: `reelpage models`, what is on this machine and what it takes to run."""

from typing import Annotated, Any, Final

import typer

from schemas.errors import SetupError
from services.checkpoints.found import Checkpoint
from services.cli.shared import Device, Json, err, out, say, settings

_CONTEXT: Final = 8192
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
        say({"checkpoints": checkpoints, "recogniser": readers}, "", True)
        return
    for row in checkpoints:
        out.print("\n".join(_told(row)), highlight=False, soft_wrap=True)
    for row in readers:
        out.print(f"{row['reads']:32} {row['state']}", highlight=False, soft_wrap=True)


def _checkpoints(device: str) -> list[dict[str, Any]]:
    """Checkpoints on this machine, with what they need of a device.

    Raises:
        SetupError: `usage` or `device_missing`.
    """
    from pipeline.vlm.device import check_device
    from services.checkpoints.listed import listed
    from services.model.device import resolve

    chosen = settings(device)
    name = resolve(chosen.device)
    check_device(name)
    return [_needs(one, name) for one in listed(chosen)]


def _needs(checkpoint: Checkpoint, device: str) -> dict[str, Any]:
    from pipeline.vlm.checkpoint import is_quantised, read_config
    from pipeline.vlm.device import default_dtype, memory
    from pipeline.vlm.needs import needs

    found = needs(checkpoint.folder)
    files = sum(path.stat().st_size for path in checkpoint.folder.glob("*.safetensors"))
    size = default_dtype(device).itemsize
    quantised = is_quantised(read_config(checkpoint.folder))  # vLLM keeps weights as they are
    weights = files if quantised else size * (found.vision + found.language)
    context = min(_CONTEXT, found.longest)
    kv = size * found.cell * context
    free, total = memory(device)
    return {
        "address": checkpoint.address,
        "folder": str(checkpoint.folder),
        "parameters": found.vision + found.language,
        "file_bytes": files,
        "quantised": quantised,
        "weight_bytes": weights,
        "context": context,
        "kv_bytes": kv,
        "picture_tokens": found.visual_tokens,
        "device": device,
        "device_bytes": total,
        "fits": weights + kv <= free,
    }


def _told(row: dict[str, Any]) -> list[str]:
    """A checkpoint in words."""
    verdict = "fits" if row["fits"] else "does not fit"
    needed = (row["weight_bytes"] + row["kv_bytes"]) / _GIB
    has = row["device_bytes"] / _GIB
    return [
        row["address"],
        f"  {row['parameters'] / 1e9:.3f} billion parameters, {row['file_bytes'] / _GIB:.2f} GiB"
        f" of files{', quantised' if row['quantised'] else ''}",
        f"  weights {row['weight_bytes'] / _GIB:.2f} GiB, {row['kv_bytes'] / _GIB:.3f} GiB for"
        f" {row['context']:,} tokens; up to {row['picture_tokens']:,} tokens a picture",
        f"  {verdict} {row['device']}: needs {needed:.2f} GiB of {has:.1f}",
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

"""Command line of the servers of this machine: `up`, `down`, and `status` of them."""

import os
import time
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from schemas.errors import SetupError
from services.cli.shared import STACK, Json, current_stack, err, say
from services.cli.sharing import (
    Colocate,
    Config,
    DecoderGpus,
    Decoders,
    EncoderGpus,
    Encoders,
    Engine,
    KeepFeatures,
    Recognisers,
    Sharing,
)
from services.settings import Settings

if TYPE_CHECKING:
    from services.stack.registry import Entry, Member

Folder = Annotated[Path, typer.Option("--data", help="Folder of its data and logs.")]
Name = Annotated[str, typer.Option("--name", help="Of the stack; default: that of the directory.")]
Workers = Annotated[int, typer.Option(min=0, help="Ingest workers.")]
Root = Annotated[
    list[Path] | None, typer.Option(help="Folder whose files jobs may name; repeatable.")
]
Serve = Annotated[bool, typer.Option(help="Run the model in Ray Serve, not in the workers.")]

_INHERITED: Final = (
    *("PATH", "HOME", "LANG", "LC_ALL", "VIRTUAL_ENV", "CUDA_VISIBLE_DEVICES", "TMPDIR"),
    "REELPAGE_SOURCES",
)


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (up, down):
        app.command()(command)


def up(
    data: Folder = STACK,
    name: Name = "",
    workers: Workers = 1,
    root: Root = None,
    serve: Serve = True,
    encoders: Encoders = None,
    encoder_gpus: EncoderGpus = None,
    decoders: Decoders = None,
    decoder_gpus: DecoderGpus = None,
    recognisers: Recognisers = None,
    colocate: Colocate = False,
    config: Config = None,
    engine: Engine = None,
    keep_features: KeepFeatures = False,
    as_json: Json = False,
) -> None:
    """Start broker, object storage, Ray Serve and a worker on this machine.

    They run on behind this command, and are started again when they end. Jobs may name files below
    the current folder, or below each --root.
    """
    from services.checkpoints.found import checkpoint
    from services.stack import up as stack
    from services.stack.registry import Plan, default_name

    given = Settings.from_environment()
    replicas = encoders, encoder_gpus, decoders, decoder_gpus, recognisers
    sharing = Sharing(*replicas, colocate, config, engine, keep_features)
    _check_graph(sharing, serve, given.device)
    # found here, where its hub's tokens are; the workers get a folder
    model = str(checkpoint(given, quiet=as_json).folder) if given.model else ""
    model_settings = {
        "REELPAGE_MODEL": model,
        "REELPAGE_DEVICE": given.device,
        "REELPAGE_THREADS": str(given.threads),
    }
    roots = os.pathsep.join(str(folder.resolve()) for folder in root or [Path.cwd()])
    inherited = {key: os.environ[key] for key in _INHERITED if key in os.environ}
    plan = Plan(
        *(name or default_name(data), str(data.resolve()), workers, serve, roots),
        *(model_settings, inherited, sharing.arguments()),
    )
    entry = stack.up(plan, lambda what: None if as_json else err.print(f"starting {what}"))
    lake = entry.environment["REELPAGE_LAKE"]
    text = (
        f"{_text(entry)}\n\nreelpage submit PATHS\nreelpage status {lake}\n"
        f'reelpage query {lake} "select * from answers limit 20"\nreelpage down'
    )
    say(_json(entry) | {"environment": entry.environment}, text, as_json)


def _check_graph(sharing: Sharing, serve: bool, device: str) -> None:
    """Refuse, before anything starts, what the graph cannot have.

    Raises:
        SetupError: `usage` or `graph_not_started`.
    """
    from services.graph.gpus import check
    from services.model.device import gpus

    if serve:
        check(sharing.options(device).shares, [gpus()])
    elif sharing.arguments():
        message = f"--no-serve: there is no graph; leave out {sharing.arguments()[0]}"
        raise SetupError("usage", message)


def down(data: Folder = STACK, name: Name = "", as_json: Json = False) -> None:
    """Stop what `up` started; the data stay."""
    from services.stack import up as stack
    from services.stack.registry import entries

    known = entries()
    meant = [one for one in known if _is_meant(one, data, name)]
    ended = [what for one in meant for what in stack.down(one)]
    text = "\n".join(f"ended {what}" for what in ended) or "nothing runs"
    if not meant and known:
        names = ", ".join(one.plan.name for one in known)
        text += f" of this folder or name; there are: {names}: reelpage down --name NAME"
    say({"ended": ended}, text, as_json)


def show(as_json: bool) -> None:
    """Print all stacks with their processes."""
    from services.stack.registry import entries

    found = entries()
    text = "\n\n".join(_text(one) for one in found) or "no stack is up: reelpage up"
    say([_json(one) for one in found], text, as_json)


def troubles() -> list[str]:
    """A line for each process of the stack in use that does not run, or was started again."""
    stack = current_stack()
    members = {} if stack is None else stack.members
    return [
        _line(name, one)
        for name, one in members.items()
        if one.restarts or one.state != "running" or not one.alive
    ]


def _is_meant(entry: "Entry", folder: Path, name: str) -> bool:
    if name:
        return entry.plan.name == name
    return entry.plan.folder == str(folder.resolve())


def _text(entry: "Entry") -> str:
    head = f"stack {entry.plan.name} in {entry.plan.folder}"
    if not entry.is_up:
        left = ", ".join(entry.left_over) or "none of its processes"
        head += f": its supervisor is gone, {left} left over; end it: "
        head += f"reelpage down --name {entry.plan.name}"
    return "\n".join([head, *(_line(name, one) for name, one in entry.members.items())])


def _line(name: str, one: "Member") -> str:
    if not one.alive:
        return f"{name:10} {_state(one):10} {one.restarts} restarts  {one.said}".rstrip()
    uptime = timedelta(seconds=round(time.time() - one.since))
    return f"{name:10} {_state(one):10} {one.restarts} restarts  pid {one.pid}, for {uptime}"


def _state(one: "Member") -> str:
    """What it does; "ended" if nobody was there to see that."""
    return "ended" if one.state in ("starting", "running") and not one.alive else one.state


def _json(entry: "Entry") -> dict[str, Any]:
    """JSON values without secrets."""
    return {
        "name": entry.plan.name,
        "folder": entry.plan.folder,
        "up": entry.is_up,
        "supervisor": entry.supervisor.pid,
        "processes": {
            name: asdict(one) | {"state": _state(one)} for name, one in entry.members.items()
        },
        "left_over": entry.left_over,
    }

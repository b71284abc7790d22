"""Command line of manifests: `reelpage k8s check`."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from services.cli.shared import Json, say

k8s = typer.Typer(help="Manifests for Kubernetes.", no_args_is_help=True)
_REFUSED: Final[type[Exception]] = typer.BadParameter.__mro__[1]
"""What the command line raises for words that it does not take, a wrong value among them."""

Overlays = Annotated[list[Path], typer.Argument(metavar="OVERLAY...", help="Folders of kustomize.")]
Kubectl = Annotated[str, typer.Option(metavar="PATH", help="Default: the kubectl that is found.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(k8s, name="k8s")


@k8s.callback()
def manifests() -> None:
    """Manifests for Kubernetes: nothing here needs a cluster."""


@k8s.command()
def check(overlays: Overlays, kubectl: Kubectl = "", as_json: Json = False) -> None:
    """Render overlays and check what they say, against each other, the code and the settings."""
    from services.k8s import check as checking
    from services.k8s.render import program, render

    found, count = [], 0
    where = program(kubectl)
    for overlay in overlays:
        documents = render(overlay, where)
        count += len(documents)
        for problem in checking.check(documents, refusal):
            found.append({"overlay": str(overlay), **asdict(problem)})
    said = {"overlays": len(overlays), "documents": count, "problems": found}
    summary = f"{len(overlays)} overlays, {count} documents: {len(found)} problems"
    say(said, "\n".join([*map(_line, found), summary]), as_json)
    if found:
        raise typer.Exit(2)


def refusal(words: Sequence[str]) -> str:
    """What this command line says of words that it does not take; empty if it takes them."""
    name, *rest = words or ("",)
    if name not in _commands():
        return f"no such command {name!r}"
    try:
        _commands()[name].make_context(name, rest)
    except _REFUSED as error:
        return str(error.format_message())  # type: ignore[attr-defined]
    return ""


@cache
def _commands() -> dict[str, Any]:
    """All commands of this command line."""
    from services.cli.main import app

    group: Any = typer.main.get_command(app)
    return dict(group.commands)


def _line(problem: dict[str, str]) -> str:
    return "{overlay}: {where}: {path}: {what}".format(**problem)

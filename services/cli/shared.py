"""Command line, shared parts: options that several commands have, and what they print with."""

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console

from schemas.errors import SetupError
from services.settings import Settings

if TYPE_CHECKING:
    from pipeline.land.place import Place
    from services.stack.registry import Entry

STACK = Path(".reelpage")
"""Where `reelpage up` keeps what it starts, below the current directory."""

out = Console()
err = Console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
LakeArgument = Annotated[
    str, typer.Argument(metavar="LAKE", help="The lake, a folder or s3://bucket/prefix.")
]
# The usage and the first line say what they are; a panel of one more word would take three lines.
Inputs = Annotated[list[str], typer.Argument(metavar="PATHS|URLS|-", hidden=True)]
_KINDS: Final = 8
"""Of files that are passed over, that are named."""

Tasks = Annotated[str, typer.Option(help="text, caption, ocr, segment-caption.")]
Ask = Annotated[list[str] | None, typer.Option("--ask", help="A question of your own; repeatable.")]
AskVideo = Annotated[
    list[str] | None,
    typer.Option("--ask-video", help="The same of each segment of a video."),
]
Model = Annotated[
    str, typer.Option(help="A folder, or hf://, ms://, s3://; default: the tiny one.")
]
Device = Annotated[
    str, typer.Option(help="Torch device: cpu, cuda:0, auto; default: REELPAGE_DEVICE.")
]
Width = Annotated[int | None, typer.Option(help="Of kept frames, pixels; default 1920.")]
Dpi = Annotated[int | None, typer.Option(help="Of kept pages; default 150.")]
Budget = Annotated[
    str, typer.Option(help="Visual tokens; default: frame=768 page=2560 clip=16384.")
]
Sample = Annotated[str, typer.Option(help='Frames: "1fps", "16frames" or "scene".')]


def settings(device: str = "") -> Settings:
    """Settings of the environment, and for those that it leaves out of the stack that is up.

    Where several are up and none is chosen they are those of the environment alone. A device that
    an option names is used instead of the environment's.
    """
    stack = current_stack()
    more = {} if stack is None else stack.environment
    found = Settings.from_environment({**more, **os.environ})
    return replace(found, device=device) if device else found


def current_stack() -> "Entry | None":
    """The stack that commands use, or None where there is none or not one alone."""
    up = _stacks()
    return up[0] if len(up) == 1 else None


def stream_settings() -> Settings:
    """The same, for commands that have to know which stream is meant.

    Raises:
        SetupError: `usage`, if several stacks are up and none is chosen.
    """
    if len(up := _stacks()) > 1:
        names = ", ".join(f"{one.plan.name} of {one.plan.folder}" for one in up)
        message = f"several stacks are up: {names}; choose one: REELPAGE_STACK=NAME"
        raise SetupError("usage", message)
    return settings()


def _stacks() -> "list[Entry]":
    """The stacks that may be meant: the chosen one, this directory's, or all that are up.

    None where the environment names servers: a stream is never one's own in part.

    Raises:
        SetupError: `usage`, if the chosen one is not up.
    """
    from services.stack.registry import entries

    given = Settings.from_environment()
    if given.kafka or given.s3_endpoint or given.lake or given.graph:
        return []
    up = [one for one in entries() if one.is_up]
    if not given.stack:
        return [one for one in up if one.plan.folder == str(STACK.resolve())] or up
    if not (chosen := [one for one in up if one.plan.name == given.stack]):
        message = f"REELPAGE_STACK={given.stack}: no such stack is up; see reelpage status"
        raise SetupError("usage", message)
    return chosen


def place_of(lake: str) -> "Place":
    """The lake that a command names."""
    from services.storage.places import open_place

    is_remote = lake.startswith("s3://")
    return open_place(lake, stream_settings() if is_remote else settings())


def ignored_line(ignored: Mapping[str, int]) -> str:
    """What a run passed over in folders, on a line; nothing without."""
    if not ignored:
        return ""
    most = sorted(ignored.items(), key=lambda one: (-one[1], one[0]))
    kinds = ", ".join(f"{count} {kind}" for kind, count in most[:_KINDS])
    more = f" and {len(most) - _KINDS} more kinds" if len(most) > _KINDS else ""
    return f"\npassed over in folders: {kinds}{more}; name a file to have it tried"


def lines(arguments: list[str]) -> list[str]:
    """The arguments, or the lines of standard input for "-"."""
    return list(each_line(arguments))


def each_line(arguments: list[str]) -> Iterator[str]:
    """The same, one after the other as they come."""
    if arguments == ["-"]:
        yield from (line.rstrip("\n") for line in sys.stdin)
    else:
        yield from arguments


def say(value: Any, text: str, as_json: bool) -> None:  # noqa: ANN401
    """Print a value as JSON, or its text."""
    if as_json:
        print(json.dumps(value, ensure_ascii=False, indent=1, default=str))
    else:
        print(text)


class JsonLines(logging.Formatter):
    """Log records of services as one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        said = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            said["trace"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False)

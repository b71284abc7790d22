"""Command line, shared parts: options that several commands have, and what they print with."""

import json
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from services.settings import Settings

if TYPE_CHECKING:
    from pipeline.land.place import Place

STACK = Path(".reelpage")
"""Where `reelpage up` keeps what it starts, below the current directory."""

out = Console()
err = Console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
LakeArgument = Annotated[
    str, typer.Argument(metavar="LAKE", help="The lake, a folder or s3://bucket/prefix.")
]
Inputs = Annotated[list[str], typer.Argument(metavar="PATHS|URLS|-", show_default=False)]
Tasks = Annotated[str, typer.Option(help="Asked of each frame and page: caption, ocr.")]
Ask = Annotated[list[str] | None, typer.Option("--ask", help="A question of your own; repeatable.")]
Sample = Annotated[str, typer.Option(help='Frames: "1fps", "16frames" or "scene".')]


def settings() -> Settings:
    """Settings of the environment, and for those that it leaves out of the stack that is up."""
    from services.stack.up import read_environment

    return Settings.from_environment({**read_environment(STACK), **os.environ})


def place_of(lake: str) -> "Place":
    """The lake that a command names."""
    from services.storage.places import open_place

    return open_place(lake, settings())


def lines(arguments: list[str]) -> list[str]:
    """The arguments, or the lines of standard input for "-"."""
    return [line.rstrip("\n") for line in sys.stdin] if arguments == ["-"] else arguments


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

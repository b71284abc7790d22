"""Address: what the user calls a model, taken apart."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from schemas.errors import SetupError

_HUBS: Final = re.compile(r"(?:(hf|ms)://)?(\w[\w.-]*/\w[\w.-]*)(?:@([\w./-]+))?", re.ASCII)
_FORMS: Final = "a folder, hf://org/name[@revision], ms://org/name[@revision] or s3://bucket/prefix"


@dataclass(frozen=True)
class Address:
    """Where a checkpoint is.

    Attributes:
        kind: a folder of this machine, the Hugging Face hub, ModelScope or a bucket.
        name: path, organisation and name, or bucket and prefix.
        revision: branch, tag or commit in a hub; empty for its default branch.
    """

    kind: Literal["folder", "hf", "ms", "s3"]
    name: str
    revision: str = ""

    def __str__(self) -> str:
        """As the user would write it."""
        scheme = "" if self.kind == "folder" else f"{self.kind}://"
        return f"{scheme}{self.name}" + (f"@{self.revision}" if self.revision else "")


def parse(text: str) -> Address:
    """Take an address apart; a folder that exists wins over a repository of its name.

    Raises:
        SetupError: `usage`.
    """
    if Path(text).is_dir():
        return Address("folder", str(Path(text).resolve()))
    if found := _HUBS.fullmatch(text):
        return Address("ms" if found[1] == "ms" else "hf", found[2], found[3] or "")
    if text.startswith("s3://"):
        return Address("s3", text.removeprefix("s3://").strip("/"))
    if "://" in text:
        message = f"model {text}: give {_FORMS}"
        raise SetupError("usage", message)
    return Address("folder", str(Path(text).resolve()))

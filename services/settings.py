"""Settings from the environment, read once; nothing else in reelpage reads it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from schemas.errors import SetupError

_PREFIX = "REELPAGE_"


@dataclass(frozen=True)
class Settings:
    """What the environment may set; each field is the variable `REELPAGE_<NAME>`.

    Attributes:
        model: directory of a Qwen2-VL checkpoint; empty for the one that ships with reelpage.
        device: torch device of the model, such as "cpu" or "cuda:0".
        threads: threads of the model on a CPU; 0 leaves the choice to torch.
    """

    model: str = ""
    device: str = "cpu"
    threads: int = 0
    lake: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read the settings.

        Raises:
            SetupError: `usage`, for an unknown variable or a number that is none.
        """
        known = {field.name for field in fields(cls)}
        given = {
            name.removeprefix(_PREFIX).lower(): value
            for name, value in environment.items()
            if name.startswith(_PREFIX)
        }
        if unknown := sorted(set(given) - known):
            names = ", ".join(_PREFIX + name.upper() for name in unknown)
            message = f"{names}: no such setting; known are " + ", ".join(
                _PREFIX + name.upper() for name in sorted(known)
            )
            raise SetupError("usage", message)
        threads = given.get("threads", "0")
        if not threads.isdecimal():
            message = f"REELPAGE_THREADS={threads!r}: give a whole number, 0 for torch's choice"
            raise SetupError("usage", message)
        return cls(given.get("model", ""), given.get("device", "cpu"), int(threads))

    def model_directory(self, option: Path | None) -> Path:
        """The checkpoint to use: the option, else the setting, else the one that ships."""
        if option is not None:
            return option
        if self.model:
            return Path(self.model)
        import pipeline.vlm

        return Path(pipeline.vlm.__file__).parent / "tiny"

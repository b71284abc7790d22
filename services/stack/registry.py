"""Registry: the stacks of a user, by name, in the folder of the user's state.

The supervisor of a stack writes its entry, `NAME.json`, and removes it at its end; commands read it
from anywhere. An entry whose supervisor is gone says what may be left over.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from schemas.errors import SetupError
from services.stack.known import write_private
from services.stack.processes import Process

State = Literal["waiting", "starting", "running", "restarting", "failed"]

_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")


@dataclass
class Member(Process):
    """A process of a stack.

    Attributes:
        title: what people call it.
        state: "waiting" for those that it needs, "starting" until it answers, "restarting" while
            it pauses after its end, "failed" when it is not started again.
        restarts: how often it was started again.
        since: when it was started, seconds of the epoch.
        said: the last line of its log when it last ended.
    """

    title: str = ""
    state: State = "waiting"
    restarts: int = 0
    since: float = 0.0
    said: str = ""


@dataclass(frozen=True)
class Plan:
    """What `reelpage up` asked for.

    Attributes:
        name: of the stack.
        folder: of its data and logs.
        workers: ingest workers.
        serve: whether Ray Serve runs the model; else every worker does.
        roots: folders whose files jobs may name, as `REELPAGE_ROOTS` takes them.
        model: settings of the model, as variables.
        inherited: variables that every process gets.
        graph: options of `reelpage serve`.
    """

    name: str
    folder: str
    workers: int
    serve: bool
    roots: str
    model: Mapping[str, str]
    inherited: Mapping[str, str]
    graph: list[str] = field(default_factory=list)


@dataclass
class Entry:
    """A stack.

    Attributes:
        plan: what was asked for.
        supervisor: the process that owns all others.
        environment: settings by which commands find the stack; with secrets.
        members: its processes by name, in the order in which they start.
    """

    plan: Plan
    supervisor: Process
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    members: dict[str, Member] = field(default_factory=dict)

    @property
    def is_up(self) -> bool:
        """Whether somebody looks after it."""
        return self.supervisor.alive

    @property
    def left_over(self) -> list[str]:
        """Processes that run on although nobody looks after them."""
        return [] if self.is_up else [name for name, one in self.members.items() if one.alive]

    def save(self) -> None:
        """Write it, for its owner alone."""
        path = entry_path(self.plan.name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, asdict(self))

    def remove(self) -> None:
        """Forget the stack."""
        entry_path(self.plan.name).unlink(missing_ok=True)


def entry_path(name: str) -> Path:
    """The file of a stack.

    Raises:
        SetupError: `usage`, for a name that cannot be one.
    """
    if not _NAME.fullmatch(name):
        message = f"{name!r} cannot be a stack's name; use letters, digits, '.', '_' and '-'"
        raise SetupError("usage", message)
    return _folder() / f"{name}.json"


def load(name: str) -> Entry | None:
    """A stack, or None if there is none of this name.

    Raises:
        SetupError: `usage`, if its file is damaged or the name cannot be one.
    """
    path = entry_path(name)
    try:
        return _entry(json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        message = f"{path}: is damaged ({error}); remove it, then run `reelpage up` again"
        raise SetupError("usage", message) from error


def entries() -> list[Entry]:
    """All stacks, by name."""
    found = [load(path.stem) for path in sorted(_folder().glob("*.json"))]
    return [one for one in found if one is not None]


def default_name(folder: Path) -> str:
    """The name of a folder's stack where none is given: that of the directory it is in."""
    folder = folder.resolve()
    shown = folder.parent if folder.name.startswith(".") else folder
    return re.sub(r"[^A-Za-z0-9_-]", "-", shown.name)[:64] or "root"


def _folder() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "reelpage" / "stacks"


def _entry(value: dict[str, Any]) -> Entry:
    members = {name: Member(**member) for name, member in value["members"].items()}
    plan, supervisor = Plan(**value["plan"]), Process(**value["supervisor"])
    return Entry(plan, supervisor, value["environment"], members)

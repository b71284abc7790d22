"""Stacks of real processes, each in a folder of its own, with a registry that tests share."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from services.stack.processes import Process
from tests.conftest import Result, run

PATIENCE_S = 60.0


def wait_until(holds: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    give_up = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < give_up, what
        time.sleep(0.1)


def wait_for_end(left: Callable[[], Sequence[object]], patience_s: float = PATIENCE_S) -> None:
    """Wait until nothing is left; what is left else is in the report."""
    give_up = time.monotonic() + patience_s
    while found := left():
        assert time.monotonic() < give_up, found
        time.sleep(0.1)


class Stack:
    """The stack of a folder; `seen` are all processes that it had when it was last looked at."""

    def __init__(self, home: Path, name: str) -> None:
        self.home, self.name = home, name
        self.folder = home / name
        self.data = self.folder / ".reelpage"
        self.folder.mkdir()
        self.seen: list[Process] = []

    def run(self, *arguments: str | Path, cwd: Path | None = None, **env: str) -> Result:
        """A command as given in the folder, or in another."""
        state = str(self.home / "state")
        return run(*arguments, cwd=cwd or self.folder, XDG_STATE_HOME=state, **env)

    def up(self, *arguments: str, **env: str) -> Any:  # noqa: ANN401 - JSON
        result = self.run("up", "--no-serve", "--json", *arguments, **env)
        assert result.code == 0, result.err
        self.look()
        return result.json

    def look(self) -> Any:  # noqa: ANN401 - JSON
        """What `status` says of it, from another folder; None if it knows nothing."""
        listed = self.run("status", "--json", cwd=self.home).json
        found = next((one for one in listed if one["name"] == self.name), None)
        if found is not None:
            self.seen.append(Process.of(found["supervisor"]))
            members = found["processes"].values()
            self.seen += [Process(one["pid"], one["started"]) for one in members]
        return found

    def pid(self, name: str) -> int:
        found: int = self.look()["processes"][name]["pid"]
        return found

    def kill(self, name: str) -> int:
        """SIGKILL one of its processes; returns the pid."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        return pid

    def left(self) -> list[int]:
        """Those of the processes seen that run."""
        return [one.pid for one in self.seen if one.alive]


StackFactory = Callable[[str], Stack]


@pytest.fixture(scope="session")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackFactory]:
    """Makes stacks, not up yet; what is left of them in the end is ended."""
    home, made = tmp_path_factory.mktemp("stacks"), []

    def make(name: str) -> Stack:
        made.append(Stack(home, name))
        return made[-1]

    yield make
    for stack in made:
        if stack.left():
            stack.run("down", "--name", stack.name)
        for pid in stack.left():  # the supervisor first: the others end with it
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

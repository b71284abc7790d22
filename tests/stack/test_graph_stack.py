"""A stack with the model in Ray Serve: its many processes end with their supervisor too."""

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pytest

from services.graph import reaper
from tests.conftest import SAMPLES
from tests.graph.processes import family
from tests.stack.conftest import StackFactory, wait_for_end

pytestmark = pytest.mark.ci


def holders(secret: str) -> list[str]:
    """Command lines of all processes that inherited a secret."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if secret.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue  # it has ended, or is another user's
    return found


def hidden(processes: Iterable[Path]) -> list[str]:
    """Command lines of those whose environment does not say for certain that they are Ray's."""
    found = []
    for process in processes:
        with suppress(OSError):  # it has ended
            command = (process / "cmdline").read_text().replace("\0", " ")
            variables = (process / "environ").read_bytes().split(b"\0")
            is_whole = b"=" in variables[0]  # a title that is long is written over it
            is_marked = any(one.startswith(f"{reaper.MARK}=".encode()) for one in variables)
            if not (is_whole and is_marked) and reaper.__name__ not in command:
                found.append(command)
    return found


def test_ray_ends_with_the_supervisor(stacks: StackFactory) -> None:
    stack = stacks("graph")
    result = stack.run("up", "--json", "--root", SAMPLES)
    assert result.code == 0, result.err
    secret = result.json["environment"]["REELPAGE_SECRET"]
    assert any("raylet" in command for command in holders(secret))
    _, *started = family(stack.pid("graph"))
    assert len(started) > 5
    assert hidden(started) == []  # else a reaper may miss it
    sent = stack.run("submit", SAMPLES / "phone.png", "--wait", "--json")
    assert sent.json["landed"] == {"indexed": 1, "failed": 0}, sent.err
    os.kill(stack.look()["supervisor"], signal.SIGKILL)
    wait_for_end(lambda: [*holders(secret), *stack.left()])

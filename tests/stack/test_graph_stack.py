"""A stack with the model in Ray Serve: its many processes end with their supervisor too."""

import os
import signal
from pathlib import Path

import pytest

from tests.conftest import SAMPLES
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


def test_ray_ends_with_the_supervisor(stacks: StackFactory) -> None:
    stack = stacks("graph")
    result = stack.run("up", "--json", "--root", SAMPLES)
    assert result.code == 0, result.err
    secret = result.json["environment"]["REELPAGE_SECRET"]
    assert any("raylet" in command for command in holders(secret))
    sent = stack.run("submit", SAMPLES / "phone.png", "--wait", "--json")
    assert sent.json["landed"] == {"indexed": 1, "failed": 0}, sent.err
    os.kill(stack.look()["supervisor"], signal.SIGKILL)
    wait_for_end(lambda: [*holders(secret), *stack.left()])

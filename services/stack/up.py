"""Up and down: what the commands do about a stack, which its supervisor owns."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from schemas.errors import SetupError
from services.stack import registry
from services.stack.processes import last_lines
from services.stack.registry import Entry, Member, Plan

_LOG: Final = "supervisor.log"
_POLL_S: Final = 0.2
_LOG_LINES: Final = 12
_DOWN_S: Final = 70.0  # more than all members may take, one layer after the other
_GRACE_S: Final = 2.0
_ENTRY_S: Final = 60.0


def up(plan: Plan, say: Callable[[str], None] = lambda _: None) -> Entry:
    """Have a stack run, and wait until all of it answers.

    Args:
        plan: what is asked for.
        say: told what is being started.

    Raises:
        SetupError: `usage`, if another stack has its name or folder or it is up with other
            options; `server_failed`, with the end of the log of what does not run.
    """
    _check(plan)
    entry = registry.load(plan.name)
    if entry is None or not entry.is_up:
        if entry is not None:
            _end_left_over(entry)
        _start(plan)
    return _wait(plan, say)


def down(entry: Entry) -> list[str]:
    """End everything, what depends on others first; the data stay. Returns what was ended."""
    entry = registry.load(entry.plan.name) or entry
    ended = [name for name, one in reversed(entry.members.items()) if one.alive]
    entry.supervisor.end(_DOWN_S)
    _end_left_over(registry.load(entry.plan.name) or entry)
    return ended


def _end_left_over(entry: Entry) -> None:
    """End what runs on without its supervisor, and forget the stack."""
    for one in reversed(entry.members.values()):
        one.end(_GRACE_S)
    entry.remove()


def _check(plan: Plan) -> None:
    if sys.platform != "linux":
        message = "reelpage up needs Linux, or WSL on Windows; `reelpage index` runs here"
        raise SetupError("usage", message)
    if plan.serve and find_spec("ray") is None:
        message = "Ray is not installed: pip install 'reelpage[cluster]', or add --no-serve"
        raise SetupError("server_failed", message)
    for other in filter(lambda one: one.is_up, registry.entries()):
        same_name = other.plan.name == plan.name
        if same_name != (other.plan.folder == plan.folder):
            message = (
                f"the stack {other.plan.name!r} of {other.plan.folder} is up; "
                f"{'choose another --name' if same_name else 'it has this folder'}, "
                f"or end it: reelpage down --name {other.plan.name}"
            )
            raise SetupError("usage", message)
        if same_name and other.plan != plan:
            message = f"the stack {plan.name!r} is up with other options; `reelpage down` first"
            raise SetupError("usage", message)


def _start(plan: Plan) -> None:
    """Start the supervisor, which no end of a shell concerns.

    Raises:
        SetupError: `server_failed`, with what it said when it ended at its start.
    """
    folder = Path(plan.folder)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOG).open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "services.stack.supervisor"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )
    assert process.stdin is not None
    with process.stdin as given:
        given.write(json.dumps(asdict(plan)).encode())
    give_up = time.monotonic() + _ENTRY_S
    while not _is_up(plan.name):
        # One that ends well has found another, which is about to be in the registry.
        if process.poll() or time.monotonic() > give_up:
            raise _no_supervisor(plan)
        time.sleep(_POLL_S)


def _wait(plan: Plan, say: Callable[[str], None]) -> Entry:
    shown: set[tuple[str, int]] = set()
    while True:
        entry = registry.load(plan.name)
        if entry is None or not entry.is_up:
            raise _no_supervisor(plan)
        for name, one in entry.members.items():
            if one.state == "failed":
                raise _failed(plan, name, one)
            if one.pid and (name, one.restarts) not in shown:
                shown.add((name, one.restarts))
                say(one.title + f", again: {one.said}" * bool(one.restarts))
        if all(one.state == "running" and one.alive for one in entry.members.values()):
            return entry
        time.sleep(_POLL_S)


def _is_up(name: str) -> bool:
    entry = registry.load(name)
    return entry is not None and entry.is_up


def _no_supervisor(plan: Plan) -> SetupError:
    log = Path(plan.folder) / _LOG
    message = f"the supervisor of {plan.name!r} ended; see {log}:\n{last_lines(log, _LOG_LINES)}"
    return SetupError("server_failed", message)


def _failed(plan: Plan, name: str, member: Member) -> SetupError:
    log = Path(plan.folder) / f"{name}.log"
    message = (
        f"{name} is given up after {member.restarts} restarts; mend it, then `reelpage down` and "
        f"`up`; see {log}:\n{last_lines(log, _LOG_LINES)}"
    )
    return SetupError("server_failed", message)

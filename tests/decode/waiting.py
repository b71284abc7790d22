"""Waiting: for what other processes do, and who they are."""

import time
from collections.abc import Callable
from pathlib import Path


def wait_for(condition: Callable[[], object], what: str, within_s: float = 30.0) -> None:
    give_up = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < give_up, f"{what}: not within {within_s:.0f} s"
        time.sleep(0.02)


def children(process: int) -> set[int]:
    """Living processes that this one forked with its only thread."""
    listed = Path(f"/proc/{process}/task/{process}/children")
    return {int(child) for child in listed.read_text().split() if is_alive(int(child))}


def is_alive(process: int) -> bool:
    """Whether it exists and is no zombie."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"

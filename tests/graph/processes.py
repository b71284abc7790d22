"""Processes of a graph under test, found by the titles that Ray gives them."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

REPLICA: Final = "ray::ServeReplica:reelpage:"
"""Titles of replicas begin so; the name of the deployment follows."""


def family(pid: int) -> Iterator[Path]:
    """A process and those that it started, directly or not."""
    yield Path(f"/proc/{pid}")
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from family(int(child))


def replica(name: str, serving: int) -> int | None:
    """Process id of a deployment's replica, or None while it has none.

    Args:
        name: of the deployment.
        serving: process that serves the graph; another graph may run on the same machine.
    """
    return titled(f"{REPLICA}{name}", serving)


def titled(beginning: str, serving: int) -> int | None:
    """Process id of one below `serving` whose title begins so, or None while there is none."""
    for process in Path("/proc").iterdir():
        try:
            if not process.name.isdecimal():
                continue
            title = (process / "cmdline").read_bytes()
            if title.startswith(beginning.encode()) and serving in _ancestors(int(process.name)):
                return int(process.name)
        except OSError:  # it has ended meanwhile
            continue
    return None


def _ancestors(process: int) -> set[int]:
    found = set()
    while process > 1:
        stat = Path(f"/proc/{process}/stat").read_text()
        process = int(stat.rpartition(")")[2].split()[1])
        found.add(process)
    return found

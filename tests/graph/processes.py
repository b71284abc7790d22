"""Processes of a graph under test, found by the titles that Ray gives them."""

from pathlib import Path


def replica(name: str, serving: int) -> int | None:
    """Process id of a deployment's replica, or None while it has none.

    Args:
        name: of the deployment.
        serving: process that serves the graph; another graph may run on the same machine.
    """
    title = f"ray::ServeReplica:reelpage:{name}".encode()
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdecimal() and title in (process / "cmdline").read_bytes():
                found = int(process.name)
                if serving in _ancestors(found):
                    return found
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

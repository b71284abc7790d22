"""Known: the servers of a folder in its `servers.json`, whose ports and keys are kept for good."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from services.stack.processes import Process


@dataclass
class Server(Process):
    """One server of the file."""

    ports: list[int] = field(default_factory=list)
    storage: str = ""
    access_key: str = ""
    secret_key: str = field(default="", repr=False)


@contextmanager
def known_servers(folder: Path) -> Iterator[dict[str, Server]]:
    """What `servers.json` says, under a lock, written back at the end, whatever happens."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "servers.json"
    with (folder / "servers.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = json.loads(path.read_text()) if path.exists() else {}
        servers = {name: Server(**value) for name, value in known.items()}
        try:
            yield servers
        finally:
            write_private(path, {name: asdict(value) for name, value in servers.items()})


def write_private(path: Path, content: object) -> None:
    """JSON that only its owner can read, whole or not at all."""
    new = path.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text(json.dumps(content, indent=1))
    new.replace(path)

"""Stack: everything that the stream needs, on this machine: `reelpage up` and `reelpage down`.

A folder keeps the data, the logs and `stack.json`, the settings by which later commands in the
same directory find the stack.
"""

import json
import os
import secrets
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from schemas.errors import SetupError, TransientError
from services.model.client import GraphClient
from services.settings import Settings
from services.stack.processes import Process, Processes, write_private
from services.stack.servers import Servers
from services.topic.broker import make_topic

BUCKET: Final = "lake"
PARTITIONS: Final = 4
_GRAPH_S: Final = 300.0  # half a minute on two idle cores, minutes on busy ones
_ALIVE_S: Final = 1.0
_GRACE_S: Final = {"graph": 20.0}
_WORKER_GRACE_S: Final = 35.0  # a little more than a worker takes to drain
_KEPT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "VIRTUAL_ENV", "CUDA_VISIBLE_DEVICES", "TMPDIR")


@dataclass(frozen=True)
class Up:
    """What runs.

    Attributes:
        folder: of data, logs and settings.
        environment: settings by which other commands find it.
        processes: names and pids.
    """

    folder: Path
    environment: Mapping[str, str]
    processes: Mapping[str, int]


class Stack:
    """The stack of one folder."""

    def __init__(self, folder: Path) -> None:
        self._servers = Servers(folder)
        self._all = Processes(folder)
        self._folder = folder.resolve()

    def up(
        self,
        settings: Settings,
        roots: str,
        *,
        workers: int = 1,
        serve: bool = True,
        say: Callable[[str], None] = lambda _: None,
    ) -> Up:
        """Start what does not run yet, and wait until it answers.

        Args:
            settings: model, device and threads are taken from them.
            roots: folders whose files jobs may name, as `REELPAGE_ROOTS` takes them.
            workers: ingest workers.
            serve: whether Ray Serve runs the model; else every worker does.
            say: told what is being started.

        Raises:
            SetupError: `server_failed`, with the end of the log of what did not start.
        """
        if serve and find_spec("ray") is None:
            message = "Ray is not installed: pip install 'reelpage[cluster]', or add --no-serve"
            raise SetupError("server_failed", message)
        say("object storage")
        s3 = self._servers.s3([BUCKET])
        say("broker")
        broker = self._servers.broker()
        environment = {
            "REELPAGE_KAFKA": broker.bootstrap,
            "REELPAGE_S3_ENDPOINT": s3.endpoint,
            "REELPAGE_S3_ACCESS_KEY": s3.access_key,
            "REELPAGE_S3_SECRET_KEY": s3.secret_key,
            "REELPAGE_LAKE": f"s3://{BUCKET}",
            "REELPAGE_ROOTS": roots,
            "REELPAGE_SOURCES": ",".join(settings.sources),
            "REELPAGE_SECRET": settings.secret or secrets.token_urlsafe(32),
            "REELPAGE_MODEL": settings.model and str(Path(settings.model).resolve()),
            "REELPAGE_DEVICE": settings.device,
            "REELPAGE_THREADS": str(settings.threads),
        }
        make_topic(Settings.from_environment(environment), PARTITIONS)
        if serve:
            say("Ray Serve with the model (half a minute)")
            environment["REELPAGE_GRAPH"] = self._graph(environment)
        for number in range(1, workers + 1):
            say(f"ingest worker {number}")
            self._start(f"worker-{number}", ["worker"], environment)
        write_private(self._folder / "stack.json", environment)
        with self._all.state() as state:
            running = {name: one.pid for name, one in state.items() if one.alive}
        return Up(self._folder, environment, running)

    def down(self) -> list[str]:
        """End everything, what depends on others first; the data stay. Returns what was ended."""
        ended = []
        with self._all.state() as state:
            ours = [name for name in state if name not in ("s3", "broker")]
            for name in sorted(ours, reverse=True):  # workers before the graph
                if state[name].alive:
                    ended.append(name)
                self._all.end(state[name], _GRACE_S.get(name, _WORKER_GRACE_S))
                del state[name]
            ended += [name for name in ("broker", "s3") if name in state and state[name].alive]
        self._servers.down()
        (self._folder / "stack.json").unlink(missing_ok=True)
        self._all.close()
        return ended

    def _graph(self, environment: Mapping[str, str]) -> str:
        with self._all.state() as state:
            known = state.get("graph") or Process(self._all.ports.choose(1))
        port = known.ports[0]
        url = f"http://127.0.0.1:{port}"

        def answers() -> bool:
            try:
                GraphClient(url, environment["REELPAGE_SECRET"], deadline_s=2.0).model()
            except TransientError:
                return False
            return True

        self._start("graph", ["serve", "--port", str(port)], environment, known, answers)
        return url

    def _start(
        self,
        name: str,
        arguments: list[str],
        environment: Mapping[str, str],
        known: Process | None = None,
        answers: Callable[[], bool] | None = None,
    ) -> None:
        """Start one of our own commands, unless it runs."""
        with self._all.state() as state:
            process = state.setdefault(name, known or Process())
            if not process.alive:
                # -P: the folder that it starts in is no place to import from.
                command = [sys.executable, "-P", "-m", "reelpage", *arguments]
                kept = {key: os.environ[key] for key in _KEPT if key in os.environ}
                self._all.launch(name, process, command, kept | dict(environment))
            if answers is not None:
                self._all.wait(name, process, answers, _GRAPH_S)


def read_environment(folder: Path) -> dict[str, str]:
    """The settings of a stack that is up, or none.

    Raises:
        SetupError: `usage`, if the file is damaged.
    """
    path = folder / "stack.json"
    if not path.exists():
        return {}
    try:
        return {str(key): str(value) for key, value in json.loads(path.read_text()).items()}
    except (OSError, ValueError, AttributeError) as error:
        message = f"{path}: is damaged ({error}); remove it, then `reelpage up` writes it again"
        raise SetupError("usage", message) from error

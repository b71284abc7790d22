"""Real streams for tests, by the fixture `streams`.

    stream = streams("name")
    stream.submit(SAMPLES)
    stream.wait()
    tables(stream.place)

Broker and S3 are shared; each stream has a topic, a lake and a worker process of its own.
"""

import secrets
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipeline.land.place import Place
from pipeline.land.positions import is_rolled_forward, positions
from pipeline.land.window import next_offset
from schemas.errors import TransientError
from services.inspect.lag import app_of
from services.model.client import GraphClient
from services.settings import Settings
from services.stack.servers import Broker, S3Server
from services.storage.places import open_place
from services.topic.broker import make_topic
from services.topic.log import open_log
from tests.conftest import MEDIA, SAMPLES, Result, Running, environment, launch, run

_DRAIN_S = 40.0


@dataclass
class Stream:
    """A topic, the lake that it fills, and the processes that do so."""

    environment: dict[str, str]
    logs: Path
    processes: dict[str, Running] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        return Settings.from_environment(self.environment)

    @property
    def location(self) -> str:
        return self.settings.lake

    @property
    def place(self) -> Place:
        return open_place(self.location, self.settings)

    def start(self, name: str, *arguments: str, **more: str) -> None:
        """Start one of our commands, `worker`, `serve` or `lander`, with more settings."""
        with (self.logs / f"{name}.log").open("ab") as log:
            settings = environment(**self.environment, **more)
            self.processes[name] = launch(arguments, settings, (log, log, log), self.logs)

    def end(self, name: str, number: int = signal.SIGTERM) -> int:
        process = self.processes.pop(name)
        process.send_signal(number)
        return process.wait(_DRAIN_S)

    def run(self, *arguments: str | Path, text: str = "") -> Result:
        """A command as a user gives it beside this stream."""
        return run(*arguments, text=text, cwd=self.logs, **self.environment)

    def submit(self, *arguments: str | Path, text: str = "") -> Any:  # noqa: ANN401 - JSON
        return self.run("submit", *arguments, "--json", text=text).json

    def wait(self, patience_s: float = 240.0) -> None:
        """Wait until all that the topic holds has landed, and the jobs that these became."""
        settings, give_up = self.settings, time.monotonic() + patience_s
        ends = self._ends()
        apps = {number: app_of(settings, number) for number in ends}
        while time.monotonic() < give_up:
            landed = positions(self.place, list(apps.values()))
            done = all(next_offset(landed[apps[n]]) >= end for n, end in ends.items())
            if done and all(is_rolled_forward(self.place, app) for app in apps.values()):
                before, ends = ends, self._ends()  # a job is sent on before it counts as landed
                if ends == before:
                    return
            for name, process in self.processes.items():
                assert process.poll() is None, self.log(name)
            time.sleep(0.3)
        pytest.fail(f"landed {landed}, the topic ends at {ends}: {self.log('worker')}")

    def landed(self) -> int:
        """How far the first partition has landed; a number that only grows."""
        app = app_of(self.settings, 0)
        return positions(self.place, [app])[app] or 0

    def _ends(self) -> dict[int, int]:
        with open_log(self.settings) as log:
            return {number: one.end for number, one in log.bounds({}).items()}

    def wait_for_graph(self, url: str, patience_s: float = 400.0) -> None:
        """Wait until the model answers; Ray starts slowly on a busy machine."""
        client, give_up = (
            GraphClient(url, self.settings.secret, deadline_s=5.0),
            time.monotonic() + patience_s,
        )
        while True:
            try:
                client.model()
                return
            except TransientError:
                assert self.processes["serve"].poll() is None, self.log("serve")
                assert time.monotonic() < give_up, self.log("serve")

    def log(self, name: str) -> str:
        return (self.logs / f"{name}.log").read_text()[-4000:]


class StreamFactory:
    """Makes streams; ends their processes."""

    def __init__(self, broker: Broker, s3: S3Server, folder: Path) -> None:
        self._broker, self._s3, self._folder = broker, s3, folder
        self._made: list[Stream] = []

    def __call__(self, name: str, partitions: int = 2, **more: str) -> Stream:
        """A stream without a process.

        Args:
            name: of its folder, topic and group; its bucket is "stream-" and the name, so that
                no other test makes the same.
            partitions: of the topic.
            more: settings beside the usual ones.
        """
        folder = self._folder / name
        folder.mkdir()
        bucket = f"stream-{name}"
        self._s3.client().make_bucket(bucket)
        roots = [folder, SAMPLES, MEDIA]
        values = {
            "REELPAGE_KAFKA": self._broker.bootstrap,
            "REELPAGE_S3_ENDPOINT": self._s3.endpoint,
            "REELPAGE_S3_ACCESS_KEY": self._s3.access_key,
            "REELPAGE_S3_SECRET_KEY": self._s3.secret_key,
            "REELPAGE_LAKE": f"s3://{bucket}/lake",
            "REELPAGE_TOPIC": name,
            "REELPAGE_GROUP": name,
            "REELPAGE_ROOTS": ":".join(map(str, roots)),
            "REELPAGE_SOURCES": f"s3://{bucket}",
            "REELPAGE_SECRET": secrets.token_hex(16),
        }
        stream = Stream(values | more, folder)
        make_topic(stream.settings, partitions)
        self._made.append(stream)
        return stream

    def end(self) -> None:
        for stream in self._made:
            for process in stream.processes.values():
                process.kill()
                process.wait()

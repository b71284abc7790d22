"""Streams: a broker, S3 and stub workers for a measurement, gone behind it."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.common import ROOT
from pipeline.land.place import Place
from services.settings import Settings
from services.stack.servers import Servers
from services.storage.places import open_place
from services.topic.broker import make_topic

PARTITIONS: Final = 4
_ASSIGNED_S: Final = 90.0


@dataclass
class Bench:
    """A topic, the lake that it fills, and workers."""

    environment: dict[str, str]
    logs: Path
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        """Settings of the workers."""
        return Settings.from_environment(self.environment)

    @property
    def place(self) -> Place:
        """The lake."""
        return open_place(self.settings.lake, self.settings)

    def start(self, count: int, delay_s: float) -> None:
        """Start stub workers, and wait until they share the partitions."""
        logs = [self.logs / f"{self.settings.topic}-{number}.log" for number in range(count)]
        for path in logs:
            with path.open("wb") as log:
                command = [sys.executable, "-m", "benchmarks.stub_worker", f"--delay-s={delay_s}"]
                kept = {k: v for k, v in os.environ.items() if not k.startswith("REELPAGE_")}
                self.workers.append(
                    subprocess.Popen(
                        command, stdout=log, stderr=log, env=kept | self.environment, cwd=ROOT
                    )
                )
        give_up = time.monotonic() + _ASSIGNED_S
        while min(path.read_text().count("assigned") for path in logs) < PARTITIONS // count:
            if time.monotonic() > give_up:
                message = f"no partitions for {logs}"
                raise TimeoutError(message)
            time.sleep(0.2)

    def stop(self) -> None:
        """End the workers at once."""
        for worker in self.workers:
            worker.kill()
            worker.wait()
        self.workers.clear()


@dataclass(frozen=True)
class Site:
    """Servers that several streams share."""

    servers: Servers
    folder: Path

    @contextmanager
    def stream(self, name: str) -> Iterator[Bench]:
        """A stream of its own without workers; those that it starts end with the block."""
        s3, broker = self.servers.up([name])
        environment = {
            "REELPAGE_KAFKA": broker.bootstrap,
            "REELPAGE_S3_ENDPOINT": s3.endpoint,
            "REELPAGE_S3_ACCESS_KEY": s3.access_key,
            "REELPAGE_S3_SECRET_KEY": s3.secret_key,
            "REELPAGE_LAKE": f"s3://{name}",
            "REELPAGE_TOPIC": name,
            "REELPAGE_GROUP": name,
            "REELPAGE_ROOTS": str(self.folder),
        }
        bench = Bench(environment, self.folder)
        make_topic(bench.settings, PARTITIONS)
        try:
            yield bench
        finally:
            bench.stop()


@contextmanager
def site() -> Iterator[Site]:
    """Servers in a folder that is removed with them."""
    with tempfile.TemporaryDirectory(prefix="reelpage-bench-") as folder:
        servers = Servers(Path(folder) / "servers")
        try:
            yield Site(servers, Path(folder))
        finally:
            servers.down(grace_s=0)

"""A stream with a worker that asks a stub of the model, for all tests of this folder."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT, environment
from tests.streams import Stream, StreamFactory


class StubStream(Stream):
    """Its workers answer "seen" to everything, as fast as they can."""

    def start_worker(self, name: str = "worker", **options: float) -> None:
        command = [sys.executable, "-m", "benchmarks.stub_worker"]
        command += [f"--{key.replace('_', '-')}={value}" for key, value in options.items()]
        with (self.logs / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, stdout=log, stderr=log, env=environment(**self.environment), cwd=ROOT
            )


@pytest.fixture(scope="module")
def stream(request: pytest.FixtureRequest, streams: StreamFactory) -> Iterator[StubStream]:
    name = request.module.__name__.rpartition(".")[2].replace("_", "-")
    made = streams(name)
    stub = StubStream(made.environment, made.logs, made.processes)
    stub.start_worker()
    yield stub
    if "worker" in stub.processes:
        stub.end("worker", 9)

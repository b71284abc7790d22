import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.land.lake import open_lake
from pipeline.land.place import Place
from schemas.tables import FRAMES
from tests.conftest import environment

REPOSITORY = Path(__file__).parents[2]

Child = subprocess.Popen[str]


@pytest.fixture
def frames() -> Callable[[str, list[int]], pa.Table]:
    def make(media_id: str, numbers: list[int]) -> pa.Table:
        rows = [{"media_id": media_id, "sampling": "s", "frame_no": number} for number in numbers]
        return pa.Table.from_pylist(rows, schema=FRAMES)

    return make


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A lake in a folder, for this process alone."""
    with open_lake(tmp_path / "a lake, é") as opened:
        yield opened


@pytest.fixture
def child() -> Iterator[Callable[..., Child]]:
    """Starts a module of this folder as a process; it waits for a line before it begins."""
    started: list[Child] = []

    def start(module: str, *arguments: object, **settings: str) -> Child:
        command = [sys.executable, "-m", f"tests.land.{module}", *map(str, arguments)]
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=environment(**settings),
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_ready(process: Child) -> None:
    """Wait until a child waits for its line."""
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", process.communicate()[1]


def begin(process: Child) -> None:
    """Give a child its line."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.land.lake import Lake
from schemas.tables import FRAMES

REPOSITORY = Path(__file__).parents[2]

_CHILD = """
import sys
from pathlib import Path
import pyarrow as pa
from pipeline.land.lake import Lake, Landing
from schemas.tables import FRAMES

root, app, stop = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
if "bypass" in sys.argv:
    (root / ".lock").unlink(missing_ok=True)
lake = Lake(root)
print("ready", flush=True)
sys.stdin.readline()
position = -1 if "bypass" in sys.argv else lake.position("frames", app)
for part in range(0 if position is None else position + 1, stop):
    row = {"media_id": app, "sampling": "s", "frame_no": part, "run_id": sys.argv[4]}
    rows = pa.Table.from_pylist([row] * 1, schema=FRAMES)
    lake.land("frames", [Landing(app, part, rows, part == stop - 1)])
    print(part, flush=True)
"""

Child = subprocess.Popen[str]


@pytest.fixture
def frames() -> Callable[[str, list[int]], pa.Table]:
    def make(media_id: str, numbers: list[int]) -> pa.Table:
        rows = [{"media_id": media_id, "sampling": "s", "frame_no": number} for number in numbers]
        return pa.Table.from_pylist(rows, schema=FRAMES)

    return make


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    with Lake(tmp_path / "a lake, é") as opened:
        yield opened


@pytest.fixture
def lander() -> Iterator[Callable[..., Child]]:
    """Starts a process that lands one row a position; it waits for a line before it begins."""
    started: list[Child] = []

    def start(root: Path, app: str, stop: int, run: str, *options: str) -> Child:
        command = [sys.executable, "-c", _CHILD, str(root), app, str(stop), run, *options]
        pipe = subprocess.PIPE
        child = subprocess.Popen(
            command, cwd=REPOSITORY, stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )
        started.append(child)
        return child

    yield start
    for child in started:
        child.kill()
        child.communicate()

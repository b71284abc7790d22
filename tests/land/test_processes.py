"""Real processes on one lake: killed at random moments, and in competition."""

import random
import time
from collections.abc import Callable
from pathlib import Path

from pipeline.land.commit import GroupCommitter
from pipeline.land.lake import open_lake
from pipeline.land.perform import Performer
from pipeline.land.store import local_place
from pipeline.query.sql import query
from pipeline.query.verify import verify
from tests.land.conftest import Child, begin, wait_ready
from tests.tables import PROTOCOL

Start = Callable[..., Child]
_KILLS = 12


def counts(root: Path) -> tuple[int, int, int]:
    sql = "select count(*) a, count(distinct frame_no) b, coalesce(max(frame_no), -1) c from frames"
    row = query(local_place(root), sql).to_pylist()[0]
    return row["a"], row["b"], row["c"] + 1


def landed(root: Path, app: str) -> int:
    """Frames up to the position, as the next worker finds it."""
    with open_lake(root) as place, GroupCommitter(place, 0) as tables:
        resumed = Performer(tables, place.objects).run(PROTOCOL.resume(app))
    return 0 if resumed is None else resumed.position + 1


def test_killed_at_random_moments(tmp_path: Path, child: Start) -> None:
    """Every acknowledged row is there, every row once, none missing in between."""
    seed = time.time_ns()
    chance = random.Random(seed)
    acknowledged = -1
    for kill in range(_KILLS):
        worker = child("land_frames", tmp_path, "a", 1_000_000, f"run{kill}")
        wait_ready(worker)
        begin(worker)
        time.sleep(chance.uniform(0, 0.5))
        worker.kill()
        lines = worker.communicate()[0].split("\n")[:-1]
        acknowledged = max(acknowledged, *map(int, lines), -1)
        count = landed(tmp_path, "a")
        assert count > acknowledged, f"seed {seed}"
        assert counts(tmp_path) == (count, count, count), f"seed {seed}"
    assert acknowledged > 0
    kinds = {problem.kind for problem in verify(local_place(tmp_path))}
    assert kinds <= {"orphan_file", "unfinished"}


def test_a_second_process_is_turned_away(tmp_path: Path, child: Start) -> None:
    first = child("land_frames", tmp_path, "a", 1, "one")
    wait_ready(first)
    second = child("land_frames", tmp_path, "a", 1, "two")
    _, errors = second.communicate()
    assert "another reelpage process is indexing into it; wait or stop it" in errors
    first.kill()
    first.communicate()
    with open_lake(tmp_path):
        pass  # the lock died with its process


def test_two_processes_without_the_lock_land_once(tmp_path: Path, child: Start) -> None:
    """Both land the same positions with other bytes (their run ids differ)."""
    with open_lake(tmp_path):
        pass
    rivals = [child("land_frames", tmp_path, "a", 25, run, "bypass") for run in ("one", "two")]
    for rival in rivals:
        wait_ready(rival)
    for rival in rivals:
        begin(rival)
    for rival in rivals:
        _, errors = rival.communicate(timeout=50)
        assert rival.returncode == 0, errors
    assert counts(tmp_path) == (25, 25, 25)

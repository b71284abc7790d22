"""Real processes on one lake: killed at random moments, and in competition."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

from pipeline.land.lake import Lake
from pipeline.land.store import local_place
from pipeline.query.sql import query
from pipeline.query.verify import verify

Child = Popen[str]
_KILLS = 12


def wait_ready(child: Child) -> None:
    assert child.stdout is not None
    assert child.stdin is not None
    assert child.stdout.readline() == "ready\n", child.communicate()[1]


def begin(child: Child) -> None:
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()


def counts(root: Path) -> tuple[int, int, int]:
    sql = "select count(*) a, count(distinct frame_no) b, coalesce(max(frame_no), -1) c from frames"
    row = query(local_place(root), sql).to_pylist()[0]
    return row["a"], row["b"], row["c"] + 1


def test_killed_at_random_moments(tmp_path: Path, lander: Callable[..., Child]) -> None:
    """Every acknowledged row is there, every row once, none missing in between."""
    seed = time.time_ns()
    chance = random.Random(seed)
    acknowledged = -1
    for kill in range(_KILLS):
        child = lander(tmp_path, "a", 1_000_000, f"run{kill}")
        wait_ready(child)
        begin(child)
        time.sleep(chance.uniform(0, 0.3))
        child.kill()
        lines = child.communicate()[0].split("\n")[:-1]
        acknowledged = max(acknowledged, *map(int, lines), -1)
        with Lake(tmp_path) as lake:
            position = lake.position("frames", "a")
        landed = 0 if position is None else position + 1
        assert landed > acknowledged, f"seed {seed}"
        assert counts(tmp_path) == (landed, landed, landed), f"seed {seed}"
    assert acknowledged > 0
    kinds = {problem.kind for problem in verify(local_place(tmp_path))}
    assert kinds <= {"orphan_file", "unfinished"}


def test_a_second_process_is_turned_away(tmp_path: Path, lander: Callable[..., Child]) -> None:
    first = lander(tmp_path, "a", 1, "one")
    wait_ready(first)
    second = lander(tmp_path, "a", 1, "two")
    _, errors = second.communicate()
    assert "another reelpage process is indexing into it; wait or stop it" in errors
    first.kill()
    first.communicate()
    Lake(tmp_path).close()  # the lock died with its process


def test_two_processes_without_the_lock_land_once(
    tmp_path: Path, lander: Callable[..., Child]
) -> None:
    """Both land the same positions with other bytes (their run ids differ)."""
    Lake(tmp_path).close()
    rivals = []
    for run in ("one", "two"):  # one after the other: each puts a lock file of its own in place
        rivals.append(lander(tmp_path, "a", 25, run, "bypass"))
        wait_ready(rivals[-1])
    for rival in rivals:
        begin(rival)
    for rival in rivals:
        _, errors = rival.communicate(timeout=50)
        assert rival.returncode == 0, errors
    assert counts(tmp_path) == (25, 25, 25)

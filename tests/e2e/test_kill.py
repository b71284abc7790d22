"""Kill -9 at random moments and restart: the tables equal an undisturbed run's, row for row."""

import os
import random
import signal
import time
from pathlib import Path
from subprocess import TimeoutExpired

import pytest

from tests.conftest import FEW, run, start, tables

KILLS = 20
TASKS = ("--tasks", "caption,ocr")


@pytest.mark.ci
def test_killed_runs_lose_and_double_nothing(tmp_path: Path) -> None:
    random_ = random.Random(4)
    inputs = [*FEW, tmp_path / "absent.mp4"]  # a failure's row too lands once
    began = time.monotonic()
    assert run("index", *inputs, "--to", tmp_path / "calm", *TASKS).code == 1
    length = time.monotonic() - began
    expected = tables(tmp_path / "calm")
    assert len(expected["failures"]) == 1
    kills = lakes = 0
    while kills < KILLS:
        lakes += 1
        lake = tmp_path / f"lake{lakes}"
        began = time.monotonic()
        while True:
            process = start("index", *inputs, "--to", lake, *TASKS)
            try:
                process.wait(random_.uniform(0.1, 1.1) * length)
                break
            except TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                kills += 1
        length = time.monotonic() - began  # now; other work on the machine comes and goes
        assert process.returncode == 1
        assert tables(lake) == expected
        assert run("verify", lake).code == 0

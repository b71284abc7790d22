"""The soak of CI, and the control that has to fail."""

from pathlib import Path

import pytest

from tests.soak.soak import CONTROL, Plan, Soak

pytestmark = pytest.mark.ci


def test_twenty_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    report = Soak(tmp_path, Plan(kills=20, seed=5, minutes=0.8)).run()
    assert report.problems == []
    assert report.kills.total() >= 20
    assert report.jobs >= 100
    assert report.faults.total() >= 10


def test_a_naive_landing_doubles_rows(tmp_path: Path) -> None:
    report = Soak(tmp_path, CONTROL).run()
    assert any("doubled" in problem for problem in report.problems), report.problems

"""200 seeds hold, and what must fail does."""

import pytest

from tests.simulation.__main__ import explain
from tests.simulation.simulator import simulate


def test_200_seeds_hold() -> None:
    faults: set[str] = set()
    shared = retried = 0
    for seed in range(200):
        outcome = simulate(seed)
        assert not outcome.problems, explain(outcome)
        faults |= set(outcome.faults)
        shared, retried = shared + outcome.shared, retried + outcome.retried
    assert faults == {"error", "lost", "work", "crash", "pause"}
    assert shared > 30
    assert retried > 50


def test_a_seed_is_one_run() -> None:
    assert simulate(7) == simulate(7)


@pytest.mark.parametrize("control", ["uri", "unlocked", "independent"])
def test_the_controls_fail(control: str) -> None:
    assert any(simulate(seed, control=control).problems for seed in range(1000))


@pytest.mark.slow
def test_10000_seeds_hold() -> None:
    for seed in range(200, 10_200):
        outcome = simulate(seed)
        assert not outcome.problems, explain(outcome)

"""The sweep: what it takes for best, by traffic of which the thresholds give the outcome."""

from collections.abc import Callable

import pytest

from benchmarks.outcome import Outcome
from benchmarks.sweep import Sweep
from benchmarks.thresholds import Thresholds

Made = Callable[[Thresholds], Outcome]


def _outcome(wait_s: float, gpu_s: float = 1.0, turns: int = 0) -> Outcome:
    targets = [[0, 1] * (turns + 1)]
    return Outcome(bytearray(), drained_s=wait_s, gpu_s=gpu_s, targets=targets)


def _traffic(wait_s: Callable[[Thresholds], float], gpu_s: Callable[[Thresholds], float]) -> Made:
    return lambda one: _outcome(wait_s(one), gpu_s(one))


def test_it_takes_the_cheapest_of_those_that_are_soon_enough() -> None:
    made = _traffic(lambda one: 70 + one.lag, lambda one: 1000.0 * one.admitted - 50 * one.lag)
    sweep = Sweep({"traffic": made})
    best = sweep.derive(Thresholds(admitted=64))
    assert (best.admitted, best.lag) == (16, 20)  # 90 s, and 72 s would be the soonest
    assert sweep.slower(best) == pytest.approx(90 / 72)
    assert Sweep({"traffic": made}).derive(Thresholds(lag=30)).lag == 20  # 100 s are too many


def test_of_those_that_cost_as_much_it_takes_the_steadiest() -> None:
    def made(one: Thresholds) -> Outcome:
        return _outcome(100.0, 100.0 + (one.window_s > 100), int(one.window_s < 100))

    assert Sweep({"traffic": made}).derive(Thresholds(window_s=60.0)).window_s == 300.0


def test_where_traffics_disagree_it_takes_who_comes_nearest() -> None:
    sweep = Sweep(
        {
            "small": _traffic(lambda one: 10.0 * one.lag, lambda _: 1.0),
            "large": _traffic(lambda one: 100.0 / one.lag, lambda _: 1.0),
        }
    )
    assert sweep.derive(Thresholds()).lag == 5


def test_who_is_too_slow_with_some_traffic_is_not_tried_with_more() -> None:
    tried: list[int] = []

    def second(one: Thresholds) -> Outcome:
        tried.append(one.lag)
        return _outcome(1.0)

    Sweep({"first": _traffic(lambda one: one.lag, lambda _: 1.0), "second": second}).derive(
        Thresholds(lag=2)
    )
    assert set(tried) == {2}

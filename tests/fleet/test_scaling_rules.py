"""The rules of KEDA and Serve that the simulation has: worked by hand, and beside Ray's own."""

import math
from itertools import accumulate
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray.serve import autoscaling_policy as real
from ray.serve._private.common import DeploymentID, TimeStampedValue
from ray.serve._private.metrics_utils import time_weighted_average
from ray.serve.config import AutoscalingConfig, AutoscalingContext

from benchmarks.keda import UP, Direction, Hpa, Keda, Lags, Policy, ScaledObject, wanted
from benchmarks.serving import LOOK_BACK_S, Autoscaler, Bounds, Reports, Seen, seen
from services.graph.scaling import Waiting

DOWN = Direction((Policy("Percent", 100, 15.0),), window_s=300.0)
RULES = ScaledObject(10, 300.0, UP, DOWN)


def test_the_hpa_rounds_up_and_lets_a_tenth_be() -> None:
    assert wanted(current=1, metric=25, target=10) == 3
    assert wanted(current=4, metric=43, target=10) == 4  # a tenth more than 40 would be 44
    assert wanted(current=4, metric=45, target=10) == 5
    assert wanted(current=4, metric=36, target=10) == 4
    assert wanted(current=4, metric=20, target=10) == 2
    assert wanted(current=4, metric=0, target=10) == 0


def test_lag_counts_no_more_than_gives_each_partition_a_worker() -> None:
    lags = Lags(RULES)
    assert lags.told([100, 5, 0, 0], [0, 0, 0, 0]) == 20  # two partitions have lag
    assert lags.told([9, 5, 0, 0], [0, 0, 0, 0]) == 14
    assert lags.told([29, 0, 0, 0], [0, 0, 0, 0]) == 10  # 29 // 10 is more than one
    all_of_them = Lags(ScaledObject(10, 300.0, UP, DOWN, with_lag=False))
    assert all_of_them.told([100, 5, 0, 0], [0, 0, 0, 0]) == 40


def test_a_partition_that_rests_has_no_lag_where_persistent_lag_is_excluded() -> None:
    lags = Lags(ScaledObject(10, 300.0, UP, DOWN, excludes=True))
    assert lags.told([8, 8], [0, 0]) == 16
    assert lags.told([8, 8], [0, 1]) == 7
    assert lags.told([8, 8], [0, 1]) == 0


def test_the_hpa_doubles_or_adds_four_in_fifteen_seconds() -> None:
    hpa, numbers = Hpa(RULES), [1]
    for now in range(0, 75, 15):
        numbers.append(hpa.look(now, numbers[-1], 400))
    assert numbers == [1, 5, 10, 20, 40, 40]


def test_a_policy_counts_from_the_beginning_of_its_period() -> None:
    up = Direction((Policy("Pods", 2, 60.0),))
    hpa = Hpa(ScaledObject(10, 300.0, up, DOWN))
    assert hpa.look(0, 3, 400) == 5
    assert hpa.look(15, 5, 400) == 5
    assert hpa.look(60, 5, 400) == 7
    halves = Direction((Policy("Percent", 50, 60.0),))
    hpa = Hpa(ScaledObject(10, 300.0, UP, halves))
    assert hpa.look(0, 9, 10) == 4  # 4.5 is rounded down
    assert hpa.look(15, 4, 10) == 4
    assert hpa.look(60, 4, 10) == 2


def test_fewer_are_wanted_for_a_whole_window_before_any_goes() -> None:
    hpa = Hpa(RULES)
    assert hpa.look(0, 8, 80) == 8
    assert hpa.look(150, 8, 50) == 8
    assert hpa.look(300, 8, 20) == 5  # the most that was wanted since 150
    assert hpa.look(450, 5, 20) == 2
    assert hpa.look(900, 2, 0) == 1  # the last one is KEDA's


def test_keda_wakes_one_with_the_first_job_and_sleeps_after_its_cooldown() -> None:
    keda = Keda(RULES)
    assert keda.poll(0, 0, 0) == 0
    assert keda.sync(15, 0, [50], [0]) == 0
    assert keda.poll(30, 0, 1) == 1
    assert keda.poll(60, 3, 5) == 3
    assert keda.poll(360, 3, 0) == 3
    assert keda.poll(390, 3, 0) == 0


class _Clock(SimpleNamespace):
    now = 1e9

    def time(self) -> float:
        return self.now


STEPS = st.lists(
    st.tuples(
        st.floats(0.0, 700.0),  # seconds since the step before
        st.integers(0, 10),  # replicas that run, of those there should be
        st.integers(0, 5),  # requests in each
        st.floats(0.0, 20.0),  # shares of the cost that wait in each
        st.integers(0, 5),  # requests in none
    ),
    max_size=30,
)


@settings(max_examples=200, deadline=None)
@given(
    steps=STEPS,
    fewest=st.integers(0, 2),
    most=st.integers(2, 9),
    delays=st.tuples(*[st.floats(0.0, 600.0)] * 3),
)
def test_serve_decides_as_ray_does(
    steps: list[tuple[float, int, int, float, int]],
    fewest: int,
    most: int,
    delays: tuple[float, float, float],
) -> None:
    clock, policy = _Clock(), real._apply_autoscaling_config(Waiting(1000))
    ours = Autoscaler(Bounds(fewest, most, *delays), Waiting(1000))
    config = AutoscalingConfig(
        min_replicas=fewest,
        max_replicas=most,
        upscale_delay_s=delays[0],
        downscale_delay_s=delays[1],
        downscale_to_zero_delay_s=delays[2],
    )
    target, state = fewest, {}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(real, "time", clock)
        for seconds, running, requests, cost, queued in steps:
            clock.now += seconds
            current = min(running, target)
            shown = seen(current, target, queued, [(requests, 1000 * cost)] * current)
            wish, state = policy(_context(shown, config, state))
            wish = max(fewest, min(most, math.ceil(wish)))
            assert ours.decide(clock.now, shown) == wish
            target = wish


def _context(shown: Seen, config: AutoscalingConfig, state: dict[str, object]) -> object:
    return AutoscalingContext(
        deployment_id=DeploymentID("Encoder", "reelpage"),
        deployment_name="Encoder",
        app_name="reelpage",
        current_num_replicas=shown.current_num_replicas,
        target_num_replicas=shown.target_num_replicas,
        running_replicas=[],
        total_num_requests=shown.total_running_requests + shown.total_queued_requests,
        total_queued_requests=shown.total_queued_requests,
        aggregated_metrics=shown.aggregated_metrics,
        raw_metrics={},
        capacity_adjusted_min_replicas=config.min_replicas,
        capacity_adjusted_max_replicas=config.max_replicas,
        policy_state=state,
        last_scale_up_time=None,
        last_scale_down_time=None,
        current_time=None,
        config=config,
    )


@given(
    gaps=st.lists(st.floats(0.5, 20.0), min_size=1, max_size=20),
    last_s=st.floats(0.01, 10.0),
    cost=st.data(),
)
def test_reports_are_averaged_as_ray_does(
    gaps: list[float], last_s: float, cost: st.DataObject
) -> None:
    reports, points = Reports(), []
    for now in accumulate(gaps):
        value = cost.draw(st.floats(0.0, 1e5))
        reports.add(now, 1.0, value)
        points.append(TimeStampedValue(now, value))
    points = [one for one in points if one.timestamp > points[-1].timestamp - LOOK_BACK_S]
    expected = time_weighted_average(points, last_window_s=last_s)
    assert reports.means(points[-1].timestamp + last_s) == (
        pytest.approx(1.0),
        pytest.approx(expected),
    )

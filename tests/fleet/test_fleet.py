"""Fleets on paper: the formulas, a simulation that agrees with them, and the command."""

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.simulate import Station, simulate
from schemas.errors import SetupError
from services.fleet.predict import BUSY, Corpus, part_seconds, predict
from services.fleet.queueing import capacity, mean_wait_s, utilisation, waits
from services.fleet.times import ServiceTimes, read
from tests.conftest import run

TIMES = ServiceTimes("cuda", 1, 0.1, 0.2, 1e-5, 2e-5, 1e-3, 0.1, 1e-3, 768, 2560, 20)


def test_erlang_c_has_the_values_of_the_textbooks() -> None:
    assert waits(0.5, 1) == pytest.approx(0.5)  # M/M/1: as probable as it is busy
    assert waits(1.0, 2) == pytest.approx(1 / 3)
    assert waits(20.0, 24) == pytest.approx(0.29807, abs=1e-5)
    assert mean_wait_s(0.5, 1.0, 1) == pytest.approx(1.0)  # rho / (mu - lambda)
    assert mean_wait_s(2.0, 1.0, 2) == math.inf


@settings(max_examples=5, deadline=None)
@given(
    servers=st.integers(1, 12),
    busy=st.floats(0.2, 0.75),
    service_s=st.floats(0.01, 100.0),
    seed=st.integers(0, 2**32),
)
def test_a_simulated_queue_waits_as_erlang_says(
    servers: int, busy: float, service_s: float, seed: int
) -> None:
    rate = busy * servers / service_s
    queue = [Station("queue", service_s, servers)]
    found = simulate(queue, 12_000, in_flight=12_000, rate=rate, seed=seed)
    assert found.busy["queue"] == pytest.approx(utilisation(rate, service_s, servers), rel=0.08)
    expected = mean_wait_s(rate, service_s, servers)
    assert found.wait_s["queue"] == pytest.approx(expected, rel=0.35, abs=0.02 * service_s)
    assert found.parts_s == pytest.approx(rate, rel=0.08)


@settings(max_examples=10, deadline=None)
@given(
    stages=st.lists(st.tuples(st.floats(0.01, 10.0), st.integers(1, 20)), min_size=1, max_size=5),
    seed=st.integers(0, 2**32),
)
def test_a_full_fleet_carries_what_its_fullest_stage_does(
    stages: list[tuple[float, int]], seed: int
) -> None:
    queues = [Station(str(no), *one, spread=0.1) for no, one in enumerate(stages)]
    found = simulate(queues, 4000, in_flight=2000, seed=seed)
    bound = min(capacity(one.service_s, one.servers) for one in queues)
    assert found.parts_s == pytest.approx(bound, rel=0.05)


def test_parts_that_wait_share_a_commit() -> None:
    lander = [Station("land", 0.001, 1, 0.0, together_s=0.1)]
    assert simulate(lander, 4000, in_flight=1).parts_s == pytest.approx(1 / 0.101, rel=0.01)
    # The first that comes is taken at once, and the others go together behind it.
    expected = 100 / (0.101 + 0.199)
    assert simulate(lander, 4000, in_flight=100).parts_s == pytest.approx(expected, rel=0.05)


@given(hours=st.floats(1.0, 1e5), pages=st.integers(0, 10**8), within_h=st.floats(1.0, 1000.0))
def test_a_fleet_is_just_large_enough(hours: float, pages: int, within_h: float) -> None:
    corpus = Corpus(hours, pages)
    fleet = predict(corpus, TIMES, within_h * 3600, gpu_price=2.0, core_price=0.05)
    for stage in fleet.stages[:-1]:
        assert stage.busy <= BUSY
        assert stage.replicas == 1 or fleet.parts_s * stage.part_s > (stage.replicas - 1) * BUSY
    gpus = sum(stage.replicas * stage.gpus for stage in fleet.stages)
    assert gpus == sum(
        stage.replicas for stage in fleet.stages if stage.name in ("encode", "generate")
    )
    assert fleet.gpu_hours == pytest.approx(gpus * within_h)
    assert fleet.cost == pytest.approx(fleet.gpu_hours * 2.0 + fleet.core_hours * 0.05)


def test_work_is_that_of_the_pictures() -> None:
    corpus = Corpus(video_hours=1.0, pages=800, tasks=2, answer_tokens=10)
    found = part_seconds(corpus, TIMES)
    assert corpus.parts == 360 + 100
    assert found["decode"] == pytest.approx((3600 * 0.1 + 800 * 0.2) / 460)
    visual = 3600 * 768 + 800 * 2560
    assert found["encode"] == pytest.approx(visual * 1e-5 / 460)
    answers = 2 * 4400
    told = (visual + 20 * answers) * 2e-5 + 10 * answers * 1e-3
    assert found["generate"] == pytest.approx(told / 460)


def test_a_lander_that_is_full_is_said_to_be() -> None:
    slow = replace(TIMES, land_part_s=10.0)
    lander = predict(Corpus(1000.0, 0), slow, 3600.0, 0, 0).stages[-1]
    assert lander.busy > 1
    assert lander.wait_s is None


def test_times_are_read_as_bench_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    path.write_text(json.dumps({"service": asdict(TIMES)}))
    assert read(path) == TIMES
    for broken in ("", "{}", "[]", '{"service": {"device": "cpu"}}'):
        path.write_text(broken)
        with pytest.raises(SetupError, match="no output of `reelpage bench --json`"):
            read(path)
    path.write_text(json.dumps({"service": asdict(TIMES) | {"video_s": -1}}))
    with pytest.raises(SetupError, match=r"service\.video_s is -1"):
        read(path)


def test_the_command_plans_a_fleet_or_says_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    path.write_text(json.dumps({"service": asdict(replace(TIMES, device="cpu", threads=4))}))
    given = ("plan", "--fleet", path, "--video-hours", "1000", "--within", "10h", "--json")
    found = run(*given).json
    encode = next(one for one in found["stages"] if one["name"] == "encode")
    assert encode["replicas"] == math.ceil(3600 * 1000 * 768 * 1e-5 / 36000 / BUSY)
    assert (encode["gpus"], encode["cores"], found["gpu_hours"]) == (0, 4, 0)
    nothing = run("plan", "--fleet", path)
    assert (nothing.code, "give --video-hours or --pages" in nothing.err) == (2, True)

"""Some hundred seeds hold, what must fail does, and the checks see what is not right."""

from collections import Counter
from collections.abc import Iterator

import pytest

from pipeline.land.protocol import STRUCTURE
from pipeline.land.records import markers_of, markers_to_bytes
from tests.simulation.__main__ import explain
from tests.simulation.check import check
from tests.simulation.controls import CONTROLS
from tests.simulation.simulator import Simulator, simulate
from tests.simulation.world import TABLES, World

SEEDS = 200
FIRST = {"unlocked": 540}
"""Where to begin, of a control that fails seldom: a little before a seed with which it does."""


def test_seeds_hold_and_have_seen_everything() -> None:
    faults, counts = Counter[str](), Counter[str]()
    for seed in range(SEEDS):
        outcome = simulate(seed)
        assert not outcome.problems, explain(outcome)
        faults += outcome.faults
        counts += outcome.counts
    assert set(faults) == {"error", "lost", "work", "crash", "pause"}
    assert counts["shared"] > 10, "commits of several workers"
    assert counts["retried"] > 50, "failures that were sent again"
    assert counts["put back"] > 50, "jobs for which there was no room"
    assert counts["tried again"] > 500
    assert counts["indexed"] > 30, "runs of index over what the stream has begun, or before it"
    assert counts["left"] > 2, "runs of index that were killed and not repeated"


def test_a_seed_is_one_run() -> None:
    lines: tuple[list[str], list[str]] = ([], [])
    for written in lines:
        Simulator(1, write=written.append).run()
    assert lines[0] == lines[1]
    assert len(lines[0]) > 100


@pytest.mark.parametrize("control", CONTROLS)
def test_the_controls_fail(control: str) -> None:
    seeds = range(FIRST.get(control, 0), 1000)
    assert any(simulate(seed, control=control).problems for seed in seeds)


def test_a_job_that_waits_in_its_slot_is_a_deadlock() -> None:
    ends = (simulate(seed, control="waiting") for seed in range(300))
    found = next(one for one in ends if one.problems)
    assert found.problems[0] == "the run did not come to its end"
    assert not simulate(found.seed).problems


# The checks: a lake that holds is damaged, one thing at a time


@pytest.fixture(scope="module")
def finished() -> list[Simulator]:
    """Runs that hold, and have rows in every table."""
    runs = [Simulator(seed) for seed in range(12)]
    assert not [run.seed for run in runs if run.run().problems]
    return [run for run in runs if not run.scenario.broken]


def places(runs: list[Simulator], prefix: str) -> Iterator[tuple[Simulator, World, str]]:
    """Objects of finished runs whose names begin so."""
    for run in runs:
        for name in list(run.scenario.world.store.names(prefix)):
            yield run, run.scenario.world, name


@pytest.mark.parametrize("table", TABLES)
def test_a_row_that_is_there_twice_is_found(finished: list[Simulator], table: str) -> None:
    tried = 0
    for run in finished:
        rows = run.scenario.world.tables[table].rows
        for row in list(rows):
            rows.append(row)
            assert check(run.scenario), row
            rows.pop()
            tried += 1
    assert tried > 3


@pytest.mark.parametrize("table", TABLES)
def test_a_row_that_is_missing_is_found(finished: list[Simulator], table: str) -> None:
    tried = 0
    for run in finished:
        rows = run.scenario.world.tables[table].rows
        for place in range(len(rows)):
            row = rows.pop(place)
            assert check(run.scenario), row
            rows.insert(place, row)
            tried += 1
    assert tried > 3
    assert not [run.seed for run in finished if check(run.scenario)], "all is as it was"


def test_a_marker_that_says_too_little_is_found(finished: list[Simulator]) -> None:
    tried = 0
    for run, world, name in places(finished, "markers/"):
        data = world.store.get(name)
        held = markers_of(name, data)
        structure = held.get(STRUCTURE)
        if structure is None or structure.outcome != "indexed":
            continue
        world.store.delete(name)
        assert check(run.scenario), name
        world.store.put(name, markers_to_bytes({c: m for c, m in held.items() if c != STRUCTURE}))
        assert check(run.scenario), name
        world.store.put(name, data)
        tried += 1
    assert tried > 20


def test_a_letter_that_is_gone_is_found(finished: list[Simulator]) -> None:
    tried = 0
    for run, world, name in places(finished, "dead/"):
        value = world.store.get(name)
        world.store.delete(name)
        assert check(run.scenario), name
        world.store.put(name, value)
        tried += 1
    assert tried > 3


def test_a_shard_that_is_gone_is_found(finished: list[Simulator]) -> None:
    tried = 0
    for run, world, name in places(finished, "shards/"):
        rows = [row for table in ("frames", "pages") for row in world.tables[table].rows]
        value = world.store.get(name)
        world.store.delete(name)
        assert bool(check(run.scenario)) == (name in {row["shard"] for row in rows}), name
        world.store.put(name, value)
        tried += 1
    assert tried > 20

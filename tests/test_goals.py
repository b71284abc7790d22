"""The table of goals: verdicts, and benchmarks that are not there."""

from importlib.util import find_spec

import pytest

from benchmarks.__main__ import Outcome, judged, run
from benchmarks.goals import GOALS, Goal, least, most

REPORT = {"results": [{"kind": "a", "ratio": 2.0}, {"kind": "a", "ratio": 3.0}, {"kind": "b"}]}


@pytest.mark.parametrize(
    ("goal", "figure", "verdict"),
    [
        (Goal("", "", 2.0, "m", least("ratio", kind="a")), 2.0, "met"),
        (Goal("", "", 2.1, "m", least("ratio", kind="a")), 2.0, "missed"),
        (Goal("", "", 3.0, "m", most("ratio", kind="a"), at_most=True), 3.0, "met"),
        (Goal("", "", 2.9, "m", most("ratio", kind="a"), at_most=True), 3.0, "missed"),
    ],
)
def test_a_verdict_compares_the_worst_figure(goal: Goal, figure: float, verdict: str) -> None:
    row = judged(goal, Outcome("m", 1.0, REPORT))
    assert (row["figure"], row["verdict"]) == (figure, verdict)


@pytest.mark.parametrize("figure", [least("ratio", kind="c"), least("ratio", kind="b")])
def test_a_report_without_the_figure_is_no_verdict(figure: object) -> None:
    row = judged(Goal("", "", 2.0, "m", figure), Outcome("m", 1.0, REPORT))  # type: ignore[arg-type]
    assert row["figure"] is None
    assert row["verdict"].startswith("not run: m gave no figure")


def test_a_benchmark_that_is_not_there_is_said_to_be() -> None:
    outcome = run("nothing_of_this_name", (), 60)
    assert (
        judged(GOALS[0], outcome)["verdict"]
        == "not run: there is no benchmarks.nothing_of_this_name"
    )


def test_a_benchmark_that_hangs_or_fails_is_said_to() -> None:
    assert "no end after 0.05 s" in run("commits", (), 0.05).why
    assert "ended with 2 and no report" in run("commits", ("--wrong",), 60).why


def test_goals_name_benchmarks() -> None:
    there = {goal.module for goal in GOALS if find_spec(f"benchmarks.{goal.module}")}
    assert there >= {"decoder", "small_files", "commits", "decode_memory", "hops", "first_page"}

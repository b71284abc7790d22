"""All benchmarks with a goal, one after the other: `python -m benchmarks [--quick]`.

Each is a child process, so that none sees what another one has loaded or cached. What they say on
stderr goes on there. Nothing fails for being slow; a benchmark that is not there or does not end
well is a row that says so.
"""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.common import ROOT, Report, commit, machine, note, parser
from benchmarks.goals import GOALS, Goal
from benchmarks.plots import goals_plot

_LONGEST_S: Final = 1500.0


@dataclass(frozen=True)
class Outcome:
    """What came of one benchmark: its report, or why there is none."""

    command: str
    seconds: float
    report: Report | None = None
    why: str = ""


def run(module: str, options: Sequence[str], longest_s: float) -> Outcome:
    """Run a benchmark and read its report."""
    name = f"benchmarks.{module}"
    shown = " ".join(["python -m", name, *options])
    if importlib.util.find_spec(name) is None:
        return Outcome(shown, 0.0, why=f"there is no {name}")
    note(shown)
    began = time.monotonic()
    command = [sys.executable, "-m", name, *options, "--json"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, process_group=0, text=True
    ) as process:
        try:
            printed, _ = process.communicate(timeout=longest_s)
        except subprocess.TimeoutExpired:
            return Outcome(shown, longest_s, why=f"no end after {longest_s:g} s")
        finally:
            _end(process)
    seconds = round(time.monotonic() - began, 1)
    try:
        return Outcome(shown, seconds, json.loads(printed))
    except ValueError:
        return Outcome(shown, seconds, why=f"it ended with {process.returncode} and no report")


def _end(process: subprocess.Popen[str]) -> None:
    """With all that it has started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def judged(goal: Goal, outcome: Outcome) -> Report:
    """A row of the table: what, against what, the goal, the figure, and whether it is met."""
    row: Report = {"what": goal.what, "against": goal.against, "goal": goal.wanted}
    row |= {"bound": goal.bound, "at_most": goal.at_most, "figure": None}
    row |= {"command": outcome.command}
    if outcome.report is None:
        return row | {"verdict": f"not run: {outcome.why}"}
    try:
        figure = goal.figure(outcome.report)
    except (LookupError, TypeError, ValueError) as error:
        return row | {"verdict": f"not run: {outcome.command} gave no figure ({error})"}
    return row | {"figure": figure, "verdict": "met" if goal.met(figure) else "missed"}


def measured(
    goals: Sequence[Goal], *, quick: bool, longest_s: float
) -> tuple[list[Report], Report]:
    """Rows of all goals, and the outcome of each benchmark by its command."""
    outcomes: dict[tuple[str, tuple[str, ...]], Outcome] = {}
    rows: list[Report] = []
    for goal in goals:
        options = goal.quick if quick else goal.options
        if options is None:
            outcome = Outcome(f"python -m benchmarks.{goal.module}", 0.0, why="not in a quick run")
        else:
            key = goal.module, options
            if key not in outcomes:
                outcomes[key] = run(*key, longest_s)
            outcome = outcomes[key]
        rows.append(judged(goal, outcome))
    found = outcomes.values()
    return rows, {one.command: {"seconds": one.seconds, "report": one.report} for one in found}


def table(rows: Sequence[Report]) -> Table:
    """For people."""
    shown = Table("what", "against", "goal", "figure", "verdict", box=None, pad_edge=False)
    for row in rows:
        figure = "" if row["figure"] is None else f"{row['figure']:.3g}"
        shown.add_row(row["what"], row["against"], row["goal"], figure, row["verdict"])
    return shown


def main() -> None:
    """Run what is asked for."""
    options = parser(__doc__)
    options.add_argument("--quick", action="store_true", help="the quick part, under 5 minutes")
    options.add_argument("--only", nargs="+", metavar="MODULE", help="of the benchmarks")
    options.add_argument("--out", type=Path, default=Path("bench.json"), help="all figures")
    options.add_argument("--longest-s", type=float, default=_LONGEST_S, help="of one benchmark")
    chosen = options.parse_args()
    goals = [goal for goal in GOALS if not chosen.only or goal.module in chosen.only]
    rows, benchmarks = measured(goals, quick=chosen.quick, longest_s=chosen.longest_s)
    report = {
        "machine": machine(),
        "commit": commit(),
        "quick": chosen.quick,
        "goals": rows,
        "benchmarks": benchmarks,
    }
    text = json.dumps(report, indent=1)
    chosen.out.write_text(text + "\n")
    goals_plot(rows, chosen.out.with_suffix(".svg"))
    if chosen.json:
        print(text)
    else:
        Console(width=None if sys.stdout.isatty() else 120).print(table(rows))
        note(f"all figures are in {chosen.out}")


if __name__ == "__main__":
    main()

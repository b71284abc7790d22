"""`python -m tests.simulation --seeds 10000`: run seeds; `--first N --seeds 1 --trace` replays."""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from typing import Any

from tests.simulation.controls import CONTROLS
from tests.simulation.simulator import Outcome, Simulator, simulate

_PROGRESS_S = 10.0
_AT_ONCE = 20  # seeds that a process takes


@dataclass
class Report:
    """What many seeds gave."""

    control: str
    seeds: int = 0
    failed: list[int] = field(default_factory=list)
    events: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    began: float = field(default_factory=time.monotonic)

    def add(self, outcome: Outcome) -> None:
        self.seeds += 1
        self.events += outcome.events
        self.faults += outcome.faults
        self.counts += outcome.counts
        if outcome.problems:
            self.failed.append(outcome.seed)

    def facts(self) -> dict[str, Any]:
        seconds = time.monotonic() - self.began
        return {
            "seeds": self.seeds,
            "failed": self.failed,
            "events": self.events,
            "faults": dict(sorted(self.faults.items())),
            "counts": dict(sorted(self.counts.items())),
            "seconds": round(seconds, 1),
            "seeds_per_s": round(self.seeds / seconds, 1),
        }

    def verdict(self) -> str:
        """One line: do they hold?"""
        if not self.failed:
            return f"all {self.seeds} seeds hold"
        return f"{len(self.failed)} of {self.seeds} seeds FAIL, the first is {min(self.failed)}"


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes that share the seeds")
    parser.add_argument("--control", choices=CONTROLS, default="", help="what must fail")
    parser.add_argument("--trace", action="store_true", help="say all that happens")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    report, said_at = Report(args.control), time.monotonic()
    with outcomes(args) as given:
        for outcome in given:
            report.add(outcome)
            if outcome.problems and not args.json:
                say(explain(outcome, control=args.control))
            if time.monotonic() > said_at + _PROGRESS_S:
                said_at = time.monotonic()
                note(f"{report.seeds} of {args.seeds} seeds, {len(report.failed)} have failed")
    facts = report.facts()
    if args.json:
        say(json.dumps(facts))
    else:
        say(", ".join(f"{name} {value}" for name, value in facts.items() if name != "failed"))
        say(report.verdict())
    return 1 if report.failed else 0


@contextmanager
def outcomes(args: argparse.Namespace) -> Iterator[Iterator[Outcome]]:
    """Of all seeds, in order, as they come."""
    seeds = range(args.first, args.first + args.seeds)
    if args.trace:
        yield (Simulator(seed, args.control, say).run() for seed in seeds)
    elif args.jobs == 1:
        yield (simulate(seed, control=args.control) for seed in seeds)
    else:
        with ProcessPoolExecutor(args.jobs, get_context("spawn")) as pool:
            yield pool.map(partial(simulate, control=args.control), seeds, chunksize=_AT_ONCE)


def explain(outcome: Outcome, *, control: str = "") -> str:
    """The problems of a seed and the command that replays it."""
    flag = f" --control {control}" if control else ""
    command = f"python -m tests.simulation --first {outcome.seed} --seeds 1 --trace{flag}"
    return "\n  ".join([f"seed {outcome.seed} fails; replay: {command}", *outcome.problems])


def say(text: str) -> None:
    """Write a line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """Write a line for who waits."""
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())

"""`python -m tests.simulation --seeds 10000`: run seeds; `--first N --seeds 1 --trace` replays."""

import argparse
import json
import sys
import time
from collections import Counter

from tests.simulation.controls import CONTROLS
from tests.simulation.simulator import Outcome, Simulator, simulate


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--control", choices=CONTROLS, default="", help="a protocol that must fail")
    parser.add_argument("--trace", action="store_true", help="say all that happens")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    began = time.monotonic()
    faults = Counter[str]()
    failed: list[Outcome] = []
    events, counts = 0, Counter[str]()
    for seed in range(args.first, args.first + args.seeds):
        if args.trace:
            outcome = Simulator(seed, args.control, lambda line: say(line)).run()
        else:
            outcome = simulate(seed, control=args.control)
        events += outcome.events
        counts += outcome.counts
        faults += outcome.faults
        if outcome.problems:
            failed.append(outcome)
            if not args.json:
                say(explain(outcome, control=args.control))
    seconds = time.monotonic() - began
    report = {
        "seeds": args.seeds,
        "failed": [outcome.seed for outcome in failed],
        "events": events,
        "faults": faults,
        "counts": counts,
        "seconds": round(seconds, 1),
        "seeds_per_s": round(args.seeds / seconds, 1),
    }
    say(json.dumps(report) if args.json else ", ".join(f"{k} {v}" for k, v in report.items()))
    return 1 if failed else 0


def explain(outcome: Outcome, *, control: str = "") -> str:
    """The problems of a seed and the command that replays it."""
    flag = f" --control {control}" if control else ""
    command = f"python -m tests.simulation --first {outcome.seed} --seeds 1 --trace{flag}"
    return "\n  ".join([f"seed {outcome.seed} fails; replay: {command}", *outcome.problems])


def say(text: str) -> None:
    """Write a line."""
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())

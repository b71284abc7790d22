"""`python -m tests.soak --kills 200 --seed 1 --minutes 15`: the stream, killed until it counts."""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tests.soak.soak import CONTROL, PAUSES, Plan, Soak


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--pictures", type=int, default=0, help="0: six a minute")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--control", choices=["naive"], default="", help="landings that must fail")
    parser.add_argument("--pauses", action="store_true", help="the control's schedule, sound")
    parser.add_argument("--keep", type=Path, help="folder for logs and data, else a temporary one")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    pictures = args.pictures or max(12, round(args.minutes * 6))
    plan = Plan(args.kills, args.seed, args.minutes, pictures=pictures, workers=args.workers)
    if args.control or args.pauses:
        plan = replace(CONTROL if args.control else PAUSES, seed=args.seed, minutes=args.minutes)
    began = time.monotonic()

    def say(text: str) -> None:
        sys.stderr.write(f"{time.monotonic() - began:7.1f} {text}\n")

    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        report = Soak(args.keep or Path(folder), plan).run(say)
    value = report.to_json()
    text = "\n".join(f"{key}: {one}" for key, one in value.items())
    sys.stdout.write((json.dumps(value, indent=1) if args.json else text) + "\n")
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())

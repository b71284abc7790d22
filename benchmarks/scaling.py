"""From zero to drained and back: workers, encoders and decoders that scale themselves, on paper.

    python -m benchmarks.scaling [--measured speed.json] [--plot scaling.svg] [--sweep]
    python -m benchmarks.scaling --recorded traffic.csv [--sweep]

Media come as a burst, as one giant video, over a day, and as a burst in which an encoder's node is
lost. KEDA's rules say how many workers there are, and Serve's how many encoders and decoders
(benchmarks.keda, benchmarks.serving); a GPU node takes minutes to come (benchmarks.cluster). Rows
tell how it goes by what Kubernetes, KEDA and Serve do if nothing is said, and by the thresholds
that the sweep gave; `--sweep` tries them anew, in two minutes.

Service times are those that `reelpage bench --json` printed, or assumed ones.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.cluster import Death, run
from benchmarks.common import Report, note, parser, show
from benchmarks.outcome import Outcome
from benchmarks.plots import scaling_plot
from benchmarks.simulate import ASSUMED
from benchmarks.sweep import Sweep
from benchmarks.thresholds import DERIVED, Cluster, Thresholds
from benchmarks.traffic import Arrival, burst, day, giant, recorded
from services.fleet.times import ServiceTimes, read
from services.topic.broker import PARTITIONS

_HOUR_S: Final = 3600.0
_PLAIN: Final = Thresholds()
_SEED: Final = 0


@dataclass(frozen=True)
class Shape:
    """Traffic, and who dies in its midst."""

    arrivals: Sequence[Arrival]
    deaths: tuple[Death, ...] = ()


def shapes() -> dict[str, Shape]:
    """Traffic that is made."""
    at_once = burst(5000, 4, _SEED)
    return {
        "giant of 12 hours": Shape(giant(12)),
        "burst of 5,000": Shape(at_once),
        "burst, an encoder dies": Shape(at_once, (Death(1200.0, "encoder"),)),
        "day": Shape(day(0.3, 6, _SEED)),
    }


VARIANTS: Final[Mapping[str, tuple[Thresholds, Cluster]]] = {
    "plain": (_PLAIN, Cluster()),
    "derived": (DERIVED, Cluster()),
    "derived, both halves woken at once": (DERIVED, Cluster(both=True)),
    f"derived, {PARTITIONS} partitions": (DERIVED, Cluster(partitions=PARTITIONS)),
    "derived, persistent lag excluded": (replace(DERIVED, excludes=True), Cluster()),
    "derived, 16 parts admitted": (replace(DERIVED, admitted=16), Cluster()),
    "derived, decoder_share of 32,768": (replace(DERIVED, decoder_share=32_768), Cluster()),
    "derived, decoder_share of 8,192": (replace(DERIVED, decoder_share=8192), Cluster()),
}
"""What is told of each traffic."""


def row(traffic: str, variant: str, found: Outcome) -> Report:
    """Figures of one run."""
    return {
        "traffic": traffic,
        "thresholds": variant,
        "drained_s": round(found.drained_s),
        "to_zero_s": round(found.zero_s),
        "first_s": round(min(found.ages)),
        "half_of_parts_s": round(found.age_s(0.5)),
        "most_of_parts_s": round(found.age_s(0.95)),
        "peak_lag": found.peak_lag,
        "gpu_hours": round(found.gpu_s / _HOUR_S, 2),
        "idle_gpu_hours": round(found.idle_s / _HOUR_S, 2),
        "most": [max(one) for one in found.targets],
        "changes": found.changes,
        "turns": found.turns,
    }


def told(
    traffic: Mapping[str, Shape], times: ServiceTimes
) -> tuple[list[Report], dict[str, Outcome]]:
    """Rows of all traffic and variants, and what came of the derived thresholds."""
    rows, derived = [], {}
    for name, shape in traffic.items():
        for variant, (thresholds, cluster) in VARIANTS.items():
            found = run(shape.arrivals, times, thresholds, cluster, shape.deaths, _SEED)
            rows.append(row(name, variant, found))
            if variant == "derived":
                derived[name] = found
    return rows, derived


def swept(traffic: Mapping[str, Shape], times: ServiceTimes) -> tuple[list[Report], Thresholds]:
    """Rows of all thresholds that were tried, and the best."""

    def runner(shape: Shape) -> Callable[[Thresholds], Outcome]:
        return partial(_run, shape, times)

    sweep = Sweep({name: runner(shape) for name, shape in traffic.items()})
    best = sweep.derive(_PLAIN)
    rows: list[Report] = [
        {
            "tried": _told(one),
            "slower": round(sweep.slower(one), 2),
            "traffics": len(trial.wait_s),
            "gpu_hours": round(trial.gpu_s / _HOUR_S, 1),
            "idle_gpu_hours": round(trial.idle_s / _HOUR_S, 1),
            "turns": trial.turns,
            "best": one == best,
        }
        for one, trial in sweep.trials.items()
    ]
    return rows, best


def _run(shape: Shape, times: ServiceTimes, thresholds: Thresholds) -> Outcome:
    return run(shape.arrivals, times, thresholds, Cluster(), shape.deaths, _SEED)


def _told(thresholds: Thresholds) -> str:
    """What is not plain."""
    plain = asdict(_PLAIN)
    found = asdict(thresholds).items()
    return " ".join(f"{name}={value}" for name, value in found if value != plain[name]) or "plain"


def _options() -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--measured", type=Path, help="what `reelpage bench --json` printed")
    options.add_argument("--recorded", type=Path, help="CSV of seconds and parts, for the made")
    options.add_argument("--sweep", action="store_true", help="derive the thresholds anew")
    options.add_argument("--plot", type=Path, help="SVG to write")
    return options.parse_args()


def main() -> None:
    """Simulate, print and plot."""
    chosen = _options()
    times = read(chosen.measured) if chosen.measured else ASSUMED
    traffic = {"recorded": Shape(recorded(chosen.recorded))} if chosen.recorded else shapes()
    if chosen.sweep:
        rows, best = swept(traffic, times)
        note(f"best: {_told(best)}; " + ("as shipped" if best == DERIVED else "not as shipped"))
    else:
        rows, derived = told(traffic, times)
        if chosen.plot:
            scaling_plot({name: found.series for name, found in derived.items()}, chosen.plot)
    show("scaling", rows, as_json=chosen.json, assumed=not chosen.measured)


if __name__ == "__main__":
    main()

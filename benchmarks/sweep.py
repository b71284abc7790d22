"""Sweep: thresholds that drain soon enough for the least GPU-hours.

One threshold after the other takes all of its values while the others stay; what is best so far is
where the next one starts. That is done twice, as some depend on one another.

Soon enough is who lets nobody wait longer than `LIMIT` times what the best who were tried do, with
each traffic on its own; if none is with all traffic, who comes nearest. Best is, of those, who has
the fewest GPU-hours over all traffic; of some with at most `NEAR` times as many, who swings least.
Whoever is too slow with some traffic is not tried with more.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from benchmarks.outcome import Outcome
from benchmarks.thresholds import Thresholds

LIMIT: Final = 1.25
NEAR: Final = 1.02
VALUES: Final[Mapping[str, Sequence[Any]]] = {
    "decoder_share": (2048, 4096, 8192, 16_384),
    "admitted": (16, 32, 64, 128),
    "encoder_share": (8192, 16_384, 32_768),
    "excludes": (True, False),
    "down_delay_s": (120.0, 300.0, 600.0),
    "zero_delay_s": (300.0, 600.0),
    "up_delay_s": (0.0, 30.0),
    "lag": (2, 5, 10, 20),
    "window_s": (60.0, 300.0),
    "cooldown_s": (60.0, 300.0),
}
"""What is tried; a delay to zero is longer than a cold start, or the halves take turns."""
_PASSES: Final = 2


@dataclass
class Trial:
    """Thresholds with some traffic: how long it waited, by its name, and what all of it took."""

    wait_s: dict[str, float] = field(default_factory=dict)
    gpu_s: float = 0.0
    idle_s: float = 0.0
    turns: int = 0

    def add(self, name: str, found: Outcome) -> None:
        """One more traffic."""
        self.wait_s[name] = found.wait_s
        self.gpu_s += found.gpu_s
        self.idle_s += found.idle_s
        self.turns += found.turns


class Sweep:
    """All trials.

    Attributes:
        trials: by thresholds; those that were too slow have not seen all traffic.
    """

    def __init__(self, traffic: Mapping[str, Callable[[Thresholds], Outcome]]) -> None:
        """Nothing has been tried.

        Args:
            traffic: by name, what runs it.
        """
        self._traffic = traffic
        self._best: dict[str, float] = {}
        self.trials: dict[Thresholds, Trial] = {}

    def derive(self, start: Thresholds) -> Thresholds:
        """The best thresholds."""
        self._try(start)
        for name in [*VALUES] * _PASSES:
            for one in _neighbours(self.best(), name):
                self._try(one)
        return self.best()

    def best(self) -> Thresholds:
        """Of what has been tried with all traffic; the first of equals."""
        tried = [key for key, one in self.trials.items() if len(one.wait_s) == len(self._traffic)]
        least = max(LIMIT, min(map(self.slower, tried)))
        soon = [one for one in tried if self.slower(one) <= least]
        bound_s = NEAR * min(self.trials[one].gpu_s for one in soon)
        cheap = [one for one in soon if self.trials[one].gpu_s <= bound_s]
        return min(cheap, key=lambda one: self.trials[one].turns)

    def slower(self, thresholds: Thresholds) -> float:
        """How many times the best wait, where that is most."""
        waits = self.trials[thresholds].wait_s
        return max(wait_s / self._best[name] for name, wait_s in waits.items())

    def _try(self, thresholds: Thresholds) -> None:
        if thresholds in self.trials:
            return
        trial = self.trials[thresholds] = Trial()
        first = len(self.trials) == 1
        for name, run in self._traffic.items():
            trial.add(name, run(thresholds))
            wait_s = trial.wait_s[name]
            self._best[name] = min(wait_s, self._best.get(name, wait_s))
            if not first and self.slower(thresholds) > self._enough:
                return

    @property
    def _enough(self) -> float:
        return max(LIMIT, self.slower(self.best()))


def _neighbours(thresholds: Thresholds, name: str) -> Iterator[Thresholds]:
    for value in VALUES[name]:
        yield replace(thresholds, **{name: value})

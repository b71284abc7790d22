"""Outcome: what came of a simulated cluster."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise


@dataclass(frozen=True)
class Moment:
    """How it stands: jobs that are not committed, and who works."""

    second: float
    lag: int
    workers: int
    encoders: int
    decoders: int


@dataclass
class Outcome:
    """What came of it.

    Attributes:
        landings: how often each part has landed.
        ages: seconds from its medium's coming to its landing, of each part.
        came_s: when the last medium had come, after the first.
        drained_s: when the last part had landed.
        zero_s: when the last worker and the last node were gone.
        peak_lag: jobs.
        gpu_s: of all nodes.
        idle_s: of these, in which no replica worked on them.
        targets: numbers of workers, encoders and decoders that were wanted, one after the other.
        series: how it stood, minute by minute.
    """

    landings: bytearray
    ages: list[float] = field(default_factory=list)
    came_s: float = 0.0
    drained_s: float = 0.0
    zero_s: float = 0.0
    peak_lag: int = 0
    gpu_s: float = 0.0
    idle_s: float = 0.0
    targets: list[list[int]] = field(default_factory=list)
    series: list[Moment] = field(default_factory=list)

    @property
    def wait_s(self) -> float:
        """Until all is drained that came at once; of what came by and by, the age of most parts."""
        return self.age_s(0.95) if self.came_s else self.drained_s

    def age_s(self, share: float) -> float:
        """So many of the parts had landed so many seconds after they came."""
        return sorted(self.ages)[math.ceil(share * len(self.ages)) - 1]

    @property
    def changes(self) -> int:
        """Of all numbers."""
        return sum(len(one) - 1 for one in self.targets)

    @property
    def turns(self) -> int:
        """Rises behind a fall, of all numbers: what grows and shrinks once has none."""
        return sum(map(_turns, self.targets))


def _turns(targets: Sequence[int]) -> int:
    rises = [after > before for before, after in pairwise(targets)]
    return sum(now and not before for before, now in pairwise(rises))

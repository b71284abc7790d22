"""Sampling: which frames are kept, without memory of what came before.

Every rule looks only at a frame and its neighbours, so decoding may start at any key frame: a
resumed run, and a run that seeks, keep the same frames under the same numbers.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import lcm
from typing import Final, Protocol

import numpy as np

from pipeline.decode.source import Presented, Source, Visit

NEVER: Final = 1 << 62
_BLIND_S: Final = 5
"""Seconds from which on a seek is tried before the distance of key frames is known."""


class Targets(Protocol):
    """Instants that are to be shown by the last frame presented by then."""

    def first(self, tick: int) -> tuple[int, int]:
        """Number and tick of the first target at or after a tick; `NEVER` if there is none."""


@dataclass(frozen=True)
class RateTargets:
    """Multiples of 1/rate seconds.

    Containers round times to their time base, Matroska to 1 ms. So a frame counts for a target
    that lies up to half a tick, and at most 0.5 ms, before it; otherwise sampling a Matroska at
    its own frame rate would lose every third frame.
    """

    rate: Fraction
    time_base: Fraction

    def first(self, tick: int) -> tuple[int, int]:
        """See `Targets`."""
        step, slack, whole = self._ticks
        number = max(0, -((slack - tick * whole) // step))  # ceil((tick - slack) / step)
        return number, (number * step + slack) // whole

    @cached_property
    def _ticks(self) -> tuple[int, int, int]:
        """From target to target, the slack, and a tick, in a unit of which all are multiples."""
        slack = min(Fraction(1, 2), Fraction(1, 2000) / self.time_base)
        step = 1 / (self.rate * self.time_base)
        whole = lcm(slack.denominator, step.denominator)
        return int(step * whole), int(slack * whole), whole


@dataclass(frozen=True)
class CountTargets:
    """Frames at evenly spread indices: `linspace(0, total - 1, count)`, half to even."""

    chosen: Sequence[int]

    @classmethod
    def spread(cls, ticks: Sequence[int], count: int) -> "CountTargets":
        """Choose `count` of the frames at `ticks`, or all if there are fewer."""
        indices = np.linspace(0, len(ticks) - 1, min(count, len(ticks))).round().astype(int)
        return cls([ticks[index] for index in indices])

    def first(self, tick: int) -> tuple[int, int]:
        """See `Targets`."""
        number = bisect_left(self.chosen, tick)
        return number, self.chosen[number] if number < len(self.chosen) else NEVER


class Skips:
    """Decides whether seeking to the next target costs less than decoding what lies between."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._least = int(_BLIND_S / source.time_base)
        self._gop = 0
        self._key: int | None = None
        self._left: int | None = None

    def saw(self, frame: Presented) -> None:
        """Learn the distance of key frames, and that a seek was useless: rarer from then on."""
        if self._left is not None:
            if frame.tick <= self._left:
                self._gop = max(self._gop, 1) * 2 + self._least
            self._left = self._key = None
        if frame.is_key:
            if self._key is not None:
                self._gop = max(self._gop, frame.tick - self._key)
            self._key = frame.tick

    def pay(self, tick: int, wanted: int) -> bool:
        """Whether a seek from `tick` to `wanted` is worth while."""
        distance = max(2 * self._gop, self._least // 5) if self._gop else self._least
        return self._source.can_seek and wanted != NEVER and wanted - tick > distance

    def left(self, tick: int) -> None:
        """Learn that decoding left off at `tick` for a seek."""
        self._left = tick


def visit_targets(source: Source, targets: Targets, start: int) -> Iterator[Visit]:
    """Keep the frames that targets choose: one lies at or after it and before its successor.

    The first frame also stands for the last target before it, as players show it until then.

    Args:
        source: the video.
        targets: instants.
        start: tick from which on frames are wanted; some before it are visited too.
    """

    def wanted(tick: int, until: int) -> bool:
        return tick <= source.first or targets.first(tick)[1] < until

    frames, skips = source.frames(start, wanted), Skips(source)
    current = next(frames)
    while (following := next(frames, None)) is not None:
        skips.saw(following)
        if following.tick <= current.tick:  # a seek went back further than it had to
            yield Visit(current.tick)
            continue
        yield _visit(source, targets, current, following.tick)
        current = following
        target = targets.first(current.tick)[1]
        if skips.pay(current.tick, target):
            skips.left(current.tick)
            frames = source.frames(target, wanted)
    yield _visit(source, targets, current, current.tick + 1)


def _visit(source: Source, targets: Targets, frame: Presented, until: int) -> Visit:
    number, wanted = targets.first(frame.tick)
    if wanted < until:
        return Visit(frame.tick, frame, number)
    if frame.tick == source.first and number > 0:
        return Visit(frame.tick, frame, number - 1)
    return Visit(frame.tick)

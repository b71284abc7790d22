"""Scenes: the first frame of every shot, by the content of the frames around it.

The change from frame to frame is the mean difference of hue, saturation and value, as in
PySceneDetect's ContentDetector (https://www.scenedetect.com/docs/latest/api/detectors.html), on a
thumbnail. A cut is a change that lasts - neither a flash nor the camera's shaking - and stands
out among its neighbours, as in their AdaptiveDetector, or is a change of all colours. Nothing
further away than `_AROUND_S` counts, so that detection can start anywhere.
docs/adr/0004-scenes-are-our-own.md measures it.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import inf
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.decode.source import Presented, Source, Visit

THRESHOLD: Final = 7.0
"""Least change of a cut, of 255."""
_WIDTH: Final = 128
_HEIGHT: Final = 72
_AROUND_S: Final = Fraction(2, 5)
_STANDS_OUT: Final = 2.5
_SOME_COLOURS: Final = 0.08
_ALL_COLOURS: Final = 0.4
_HUES: Final = 180
_BINS: Final = 128

Values = NDArray[np.int16]


@dataclass(frozen=True)
class _Seen:
    """A frame that has gone by: its tick, its picture and its change from the one before."""

    tick: int
    values: Values
    change: float


class _Candidate:
    """The frame that may begin a shot, until all frames around it are known."""

    def __init__(self, frame: Presented, seen: _Seen, before: deque[_Seen]) -> None:
        self.frame, self.change = frame, seen.change
        self._last = before[-1].values if before else seen.values
        self._last_colours, self._colours = _colours(self._last), _colours(seen.values)
        self._strongest = max((other.change for other in before), default=0.0)
        self._difference = self._shift = inf
        for other in before:
            self._compare(seen.values, self._colours, other.values)

    def follow(self, seen: _Seen) -> None:
        """Take in a frame behind it: the change must last."""
        self._strongest = max(self._strongest, seen.change)
        self._compare(self._last, self._last_colours, seen.values)

    def is_cut(self, threshold: float) -> bool:
        """Whether a shot begins here."""
        if self.change == inf:
            return True
        if self._difference < threshold or self._shift < _SOME_COLOURS:
            return False
        return self.change >= _STANDS_OUT * self._strongest or self._shift >= _ALL_COLOURS

    def _compare(self, one: Values, colours: NDArray[np.float64], other: Values) -> None:
        self._difference = min(self._difference, _difference(one, other))
        shift = float(np.abs(colours - _colours(other)).sum()) / 2
        self._shift = min(self._shift, shift)


def visit_scenes(source: Source, threshold: float, start: int) -> Iterator[Visit]:
    """Keep the first frame of every shot; its number is its time in milliseconds.

    Args:
        source: the video.
        threshold: least change of a cut, of 255.
        start: tick from which on frames are wanted; some before it are visited too.
    """
    around = int(_AROUND_S / source.time_base)
    recent: deque[_Seen] = deque()
    waiting: deque[int] = deque()
    best: _Candidate | None = None
    for frame, seen in _changes(source, max(0, start - 2 * around - 1)):
        if best is not None and frame.tick - best.frame.tick > around:
            yield from _settled(waiting, best, threshold, source.time_base)
            best = None
        while recent and frame.tick - recent[0].tick > around:
            recent.popleft()
        if seen.change >= threshold and all(seen.change > other.change for other in recent):
            best = _Candidate(frame, seen, recent)
        elif best is not None:
            best.follow(seen)
        recent.append(seen)
        waiting.append(frame.tick)
        if best is None:
            yield Visit(waiting.popleft())
    if best is not None:
        yield from _settled(waiting, best, threshold, source.time_base)


def _settled(
    waiting: deque[int], best: _Candidate, threshold: float, base: Fraction
) -> Iterator[Visit]:
    """Let go what waited for the decision about `best`."""
    kept = best.frame if best.is_cut(threshold) else None
    while waiting:
        tick = waiting.popleft()
        is_kept = kept is not None and tick == kept.tick
        yield Visit(tick, kept if is_kept else None, int(tick * base * 1000))


def _changes(source: Source, at: int) -> Iterator[tuple[Presented, _Seen]]:
    """Each frame with its change from the one before; the video's first is a cut for sure."""
    before: Values | None = None
    for frame in source.frames(at):
        now = _hsv(frame.thumbnail(_WIDTH, _HEIGHT))
        change = inf if frame.tick == source.first else 0.0
        if before is not None:
            change = _difference(now, before)
        yield frame, _Seen(frame.tick, now, change)
        before = now


def _difference(one: Values, other: Values) -> float:
    """Mean absolute difference; hue is a circle."""
    apart = np.abs(one - other)
    np.minimum(apart[..., 0], _HUES - apart[..., 0], out=apart[..., 0])
    return float(apart.mean())


def _colours(values: Values) -> NDArray[np.float64]:
    """Shares of 8 hues x 4 saturations x 4 values."""
    bins = values[..., 0] * 8 // _HUES * 16 + values[..., 1] // 64 * 4 + values[..., 2] // 64
    return np.bincount(bins.ravel(), minlength=_BINS) / bins.size


def _hsv(thumbnail: NDArray[np.uint8]) -> Values:
    """Hue in half degrees, 0 to 179, as OpenCV has it; saturation and value 0 to 255."""
    values = np.asarray(Image.fromarray(thumbnail).convert("HSV")).astype(np.int16)
    values[..., 0] = values[..., 0].astype(np.int32) * _HUES // 256
    return values

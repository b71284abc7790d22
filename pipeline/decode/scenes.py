"""Scenes: the first frame of every shot, by the content of neighbouring frames.

The score is the mean change of hue, saturation and value, as in PySceneDetect's ContentDetector
(https://www.scenedetect.com/docs/latest/api/detectors.html), measured on a small thumbnail;
docs/adr/0003-scene-changes.md compares the two. A cut is a score above the threshold that no
other score within `_APART_S` exceeds: a rule without memory, so that it can start anywhere.
"""

from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from math import inf
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.decode.source import Presented, Source, Visit

THRESHOLD: Final = 27.0
_WIDTH: Final = 128
_HEIGHT: Final = 72
_APART_S: Final = Fraction(1, 2)


def visit_scenes(source: Source, threshold: float, start: int) -> Iterator[Visit]:
    """Keep the first frame of every shot; its number is its time in milliseconds.

    Args:
        source: the video.
        threshold: least score of a cut, of 255.
        start: tick from which on frames are wanted; some before it are visited too.
    """
    apart = int(_APART_S / source.time_base)
    recent: deque[tuple[int, float]] = deque()
    waiting: deque[int] = deque()
    best: tuple[Presented, float] | None = None
    for frame, score in _scores(source, max(0, start - 2 * apart - 1)):
        if best is not None and frame.tick - best[0].tick > apart:
            yield from _settled(waiting, best[0], source.time_base)
            best = None
        while recent and frame.tick - recent[0][0] > apart:
            recent.popleft()
        if score >= threshold and all(score > other for _, other in recent):
            best = frame, score
        recent.append((frame.tick, score))
        waiting.append(frame.tick)
        if best is None:
            yield Visit(waiting.popleft())
    if best is not None:
        yield from _settled(waiting, best[0], source.time_base)


def _settled(waiting: deque[int], kept: Presented, base: Fraction) -> Iterator[Visit]:
    """Let go what waited for the decision that `kept` is a cut."""
    while waiting:
        tick = waiting.popleft()
        number = int(tick * base * 1000)
        yield Visit(tick, kept if tick == kept.tick else None, number)


def _scores(source: Source, at: int) -> Iterator[tuple[Presented, float]]:
    """Each frame with its change from the one before; the video's first is a cut for sure."""
    before: NDArray[np.int16] | None = None
    for frame in source.frames(at):
        now = _hsv(frame.thumbnail(_WIDTH, _HEIGHT))
        if before is None:
            yield frame, inf if frame.tick == 0 else 0.0
        else:
            yield frame, float(np.abs(now - before).mean())
        before = now


def _hsv(thumbnail: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Hue in half degrees, 0 to 179, as OpenCV has it; saturation and value 0 to 255."""
    values = np.asarray(Image.fromarray(thumbnail).convert("HSV")).astype(np.int16)
    values[..., 0] = values[..., 0] * 180 // 256
    return values

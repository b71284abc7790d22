"""Clip: frames that the model takes as video, at an even rate and within the family's budget."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.vlm.preprocess import smart_resize

MOST_FRAMES: Final = 768
"""Of a clip, as in the training of Qwen2-VL and Qwen2.5-VL ..."""
FRAME_TOKENS: Final = (128, 768)
"""... and the least and the most visual tokens of the area of one frame."""
TOKEN: Final = 28 * 28
"""Pixels of a visual token."""
TEMPORAL: Final = 2  # frames of a visual token
_MICRO: Final = 1_000_000

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Clip:
    """Frames of equal size, `uint8 (frames, height, width, 3)`, and their true sampling rate."""

    frames: Picture
    fps: float


Item = Picture | Clip
"""What the model looks at: a still `uint8 (height, width, 3)` or a clip."""


def item_tokens(item: Item) -> int:
    """Visual tokens of a still or a clip."""
    if isinstance(item, Clip):
        return clip_tokens(*map(int, item.frames.shape[:3]))
    return still_tokens(*map(int, item.shape[:2]))


def still_tokens(height: int, width: int) -> int:
    """Visual tokens of a still of a size in pixels."""
    return height * width // TOKEN


def clip_tokens(count: int, height: int, width: int) -> int:
    """Visual tokens of so many frames of a size in pixels; an odd last frame is doubled."""
    return -(-count // TEMPORAL) * still_tokens(height, width)


def even(
    numbers: Sequence[int], times_us: Sequence[int], rate: float | None, length_us: int
) -> tuple[list[int], float]:
    """Which of a segment's kept frames is on the screen at instants of an even rate.

    A frame that was kept once and stood for several instants is shown at each of them, for the
    family knows no other time than the place of a frame in an even row. The step is the least
    distance between two kept frames, so that each is shown, unless there are too many.

    Args:
        numbers: of the frames, rising: instants that the sampling counts; at least one.
        times_us: their presentation times, microseconds.
        rate: instants a second, None where that is not known: then they are spread over the times.
        length_us: of the segment, which is the time of a frame that is alone in it.

    Returns:
        Indices of the frames, at most `MOST_FRAMES`, and their rate in frames a second.
    """
    known, span = np.asarray(numbers), numbers[-1] - numbers[0]
    if span == 0:
        return [0], _MICRO / max(length_us, 1)
    step = int(np.diff(known).min())
    instants = np.arange(known[0], known[-1] + step, step)
    if len(instants) > MOST_FRAMES:
        instants = np.linspace(known[0], known[-1], MOST_FRAMES).round()
    shown = np.searchsorted(known, instants, side="right") - 1
    seconds = span / rate if rate else (times_us[-1] - times_us[0]) / _MICRO
    apart = float(instants[-1] - instants[0]) / (len(instants) - 1) * seconds / span
    return shown.tolist(), 1 / max(apart, 1 / _MICRO)


def frame_size(height: int, width: int, count: int, max_pixels: int) -> tuple[int, int]:
    """The size of each frame of a clip, height and width in pixels.

    The whole clip has at most the visual tokens of the largest still: 16,384 in the published
    checkpoints, as in their training. The least area of a frame gives way to that.

    Args:
        height: of the frames as they are kept.
        width: of the same.
        count: of the frames.
        max_pixels: of the largest still that the checkpoint takes.

    Raises:
        InputError: `aspect_ratio`.
    """
    least, most = (tokens * TOKEN for tokens in FRAME_TOKENS)
    high = max(TOKEN, min(most, max_pixels // -(-count // TEMPORAL)))
    return smart_resize(height, width, min_pixels=min(least, high // 2), max_pixels=high)

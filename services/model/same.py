"""Same: frames of a segment in which the model could see nothing new."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

_FAINTEST: Final = 6
"""Most that any value of any pixel may differ, of 255, in what the model is shown.

In H.264 a still scene differs by 0 to 6 from frame to frame once the encoder has mended its key
frame, by up to 50 before, and is then asked about once more (`python -m benchmarks.repetition`).
The faintest change that was tried, a grey comma of 9 pixels for a full stop, differs by 17. A mean
over the picture or over patches would drown it."""


def alike(pictures: Sequence[NDArray[np.uint8] | None]) -> list[int]:
    """For each picture, the index of the one that it looks like; its own where it shows news.

    Each is compared with the last that showed news, so that slow change adds up.

    Args:
        pictures: `uint8 (height, width, 3)`, as the model sees them; None for one that it does not.
    """
    found: list[int] = []
    last: int | None = None
    for index, picture in enumerate(pictures):
        before = None if last is None else pictures[last]
        if picture is not None and (before is None or not _is_same(picture, before)):
            last = index
        found.append(index if picture is None or last is None else last)
    return found


def _is_same(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    if one.shape != other.shape:
        return False
    return bool((np.maximum(one, other) - np.minimum(one, other)).max() <= _FAINTEST)

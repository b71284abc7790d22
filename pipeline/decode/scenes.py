"""Scenes: where a video cuts from one shot to another."""

from typing import Final

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

_WIDTH: Final = 64
_HEIGHT: Final = 36
_THRESHOLD: Final = 27.0


class SceneDetector:
    """Marks frames that differ from their predecessor by more than motion does.

    The score is the mean absolute difference of colour over a 64 x 36 thumbnail, as PySceneDetect's
    content detector measures it on larger frames; 27 of 255 is that detector's threshold too.
    """

    def __init__(self) -> None:
        self._before: NDArray[np.int16] | None = None

    def is_cut(self, frame: VideoFrame) -> bool:
        """Whether a scene begins with this frame; the first frame is no cut."""
        small = frame.reformat(width=_WIDTH, height=_HEIGHT, format="rgb24", interpolation="AREA")
        values = small.to_ndarray().astype(np.int16)
        before, self._before = self._before, values
        return before is not None and float(np.abs(values - before).mean()) > _THRESHOLD

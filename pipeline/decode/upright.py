"""Upright: how a frame is turned and mirrored for display, by the matrix that comes with it."""

import struct
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

_MATRIX_BYTES: Final = 36


@dataclass(frozen=True)
class Upright:
    """A turn by quarters, with or without a mirror.

    Attributes:
        swaps: whether width and height change places, before the axes are reversed.
        reverses_x: whether what is left of the frame is shown at the right.
        reverses_y: whether what is at its top is shown at the bottom.
    """

    swaps: bool = False
    reverses_x: bool = False
    reverses_y: bool = False

    @classmethod
    def of(cls, frame: VideoFrame) -> "Upright":
        """By a display matrix a, b, u, c, d, v, x, y, w (ISO/IEC 14496-12, section 8.3.2).

        A point (p, q) is shown at (a p + c q, b p + d q); other angles go to the nearest quarter.
        """
        found: Any = frame.side_data.get("DISPLAYMATRIX")
        data = b"" if found is None else bytes(found)
        if len(data) != _MATRIX_BYTES:
            return cls()
        a, b, _, c, d, *_ = struct.unpack("=9i", data)
        if abs(b) + abs(c) > abs(a) + abs(d):
            return cls(True, c < 0, b < 0)
        return cls(False, a < 0, d < 0)

    @property
    def degrees(self) -> int:
        """The turn, degrees clockwise; without the mirror, which comes first, left for right."""
        if not self.swaps:
            return 180 * self.reverses_y
        return 90 if self.reverses_x else 270

    def turned(self, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A frame, `uint8 (height, width, 3)`, as it is displayed."""
        shown = values.transpose(1, 0, 2) if self.swaps else values
        shown = shown[:, ::-1] if self.reverses_x else shown
        return shown[::-1] if self.reverses_y else shown

"""Features: what the encoder hands to the decoder for one image or clip."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.errors import InputError


@dataclass(frozen=True)
class Features:
    """Visual tokens with their place.

    Attributes:
        tokens: `float32 (t * h * w / 4, hidden)`.
        grid: patches before merging, `(t, h, w)`; `t` is 1 for an image.
        key: content identity: pixels, model revision, processor settings and dtype.
        seconds_per_grid: seconds between two temporal grids of a clip; None for an image.
    """

    tokens: NDArray[np.float32]
    grid: tuple[int, int, int]
    key: str
    seconds_per_grid: float | None = None

    def __post_init__(self) -> None:
        """Check the shape against the grid.

        Raises:
            InputError: `features_invalid`.
        """
        t, h, w = self.grid
        expected = t * h * w // 4
        if min(self.grid) < 1 or self.tokens.ndim != 2 or len(self.tokens) != expected:
            message = f"features of shape {self.tokens.shape} do not fit the grid {self.grid}"
            raise InputError("features_invalid", message)

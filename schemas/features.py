"""Features: what the encoder hands to the decoder for one image or clip.

They travel and rest as dense Arrow alone. A pickled or sparse tensor from outside could run code
or grow without bound, so a shape is checked against its grid before anything is allocated.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from schemas.errors import InputError

FEATURES_VERSION: Final = 1
_MERGED: Final = 4  # patches of one visual token, in both families
_TYPES: Final = (np.float32, np.float16, np.uint16)
_METADATA: Final = b"reelpage.features"


@dataclass(frozen=True)
class Features:
    """Visual tokens with their place.

    Attributes:
        tokens: `float32`, `float16`, or `uint16` for the bits of bfloat16, which numpy has not;
            `(t * h * w / 4, hidden)`.
        grid: patches before merging, `(t, h, w)`; `t` is 1 for an image.
        key: content identity: pixels, model revision, processor settings and dtype.
        seconds_per_grid: seconds between two temporal grids of a clip; None for an image.
    """

    tokens: NDArray[np.generic]
    grid: tuple[int, int, int]
    key: str
    seconds_per_grid: float | None = None

    def __post_init__(self) -> None:
        """Check the shape against the grid.

        Raises:
            InputError: `features_invalid`.
        """
        _check(self.tokens.shape, self.grid)
        if self.tokens.dtype not in _TYPES:
            names = ", ".join(np.dtype(one).name for one in _TYPES)
            message = f"features are {self.tokens.dtype}; known are {names}"
            raise InputError("features_invalid", message)

    def to_ipc(self) -> bytes:
        """Return two Arrow IPC messages: a schema whose metadata are the facts, and a tensor.

        A tensor message is dense and never compressed: it cannot be larger than its bytes.
        """
        facts = {
            "version": FEATURES_VERSION,
            "grid": self.grid,
            "key": self.key,
            "seconds_per_grid": self.seconds_per_grid,
        }
        sink = pa.BufferOutputStream()
        sink.write(pa.schema([], metadata={_METADATA: json.dumps(facts)}).serialize())
        pa.ipc.write_tensor(pa.Tensor.from_numpy(np.ascontiguousarray(self.tokens)), sink)
        return bytes(sink.getvalue())

    @classmethod
    def from_ipc(cls, data: bytes) -> "Features":
        """Read features back; the tokens are a view of `data`.

        Raises:
            InputError: `features_invalid`, if the bytes are anything else.
        """
        try:
            source = pa.BufferReader(data)
            facts = json.loads((pa.ipc.read_schema(source).metadata or {})[_METADATA])
            if facts["version"] != FEATURES_VERSION:
                message = f"features of version {facts['version']}, not {FEATURES_VERSION}"
                raise InputError("features_invalid", message)
            t, h, w = map(int, facts["grid"])
            seconds = facts["seconds_per_grid"]
            tensor = pa.ipc.read_tensor(source)
            _check(tensor.shape, (t, h, w))
            return cls(
                tokens=tensor.to_numpy(),
                grid=(t, h, w),
                key=str(facts["key"]),
                seconds_per_grid=None if seconds is None else float(seconds),
            )
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
            message = f"the bytes are no features ({error})"
            raise InputError("features_invalid", message) from error


def _check(shape: Sequence[int], grid: tuple[int, int, int]) -> None:
    t, h, w = grid
    if min(grid) < 1 or len(shape) != 2 or shape[0] * _MERGED != t * h * w or shape[1] < 1:
        message = f"features of shape {tuple(shape)} do not fit the grid {grid}"
        raise InputError("features_invalid", message)

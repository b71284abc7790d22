"""Roofline: products and reads a second that a device reaches, and the speed of a model they allow.

Williams, Waterman, Patterson: Roofline, an insightful visual performance model for multicore
architectures (CACM 52(4), 2009): time is at least that of the arithmetic at the measured peak, and
at least that of the bytes at the measured bandwidth.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch

_TURNS: Final = 5
_SIDE: Final = {"cpu": 2048, "cuda": 8192}
_BYTES: Final = {"cpu": 256 << 20, "cuda": 2 << 30}
_MERGED: Final = 4
"""Patches of one visual token, each of which goes through the tower: 2 x 2 in the whole family."""


@dataclass(frozen=True)
class Roof:
    """What a device reaches with numbers of one type.

    Attributes:
        flops: floating-point operations a second of a large matrix product.
        bytes_s: bytes a second of a matrix that is read once, as a decoder reads its weights.
        width: bytes of a number.
    """

    flops: float
    bytes_s: float
    width: int

    def visual_tokens(self, parameters: int) -> float:
        """Visual tokens a second of a tower at best; attention is not counted."""
        return self.flops / (2 * parameters * _MERGED)

    def prompt_tokens(self, parameters: int) -> float:
        """Tokens a second of prompts at best; attention is not counted."""
        return self.flops / (2 * parameters)

    def output_tokens(self, parameters: int, rows: int) -> float:
        """Tokens a second of so many answers at a time at best; the cache is not counted."""
        reading = parameters * self.width / self.bytes_s
        computing = 2 * parameters * rows / self.flops
        return rows / max(reading, computing)


def measure(device: str, dtype: torch.dtype) -> Roof:
    """Measure a device on which a model was loaded, the best of some turns; a few seconds."""
    kind = torch.device(device).type
    side, width = _SIDE.get(kind, 2048), dtype.itemsize
    left = torch.randn(side, side, device=device, dtype=dtype)
    product = _best(device, lambda: left @ left)
    columns = 4096
    weights = torch.ones(_BYTES.get(kind, 256 << 20) // width // columns, columns, dtype=dtype)
    weights, vector = weights.to(device), torch.ones(columns, device=device, dtype=dtype)
    reading = _best(device, lambda: weights @ vector)
    return Roof(2 * side**3 / product, weights.numel() * width / reading, width)


def _best(device: str, act: Callable[[], object]) -> float:
    """Seconds of the quickest turn; the first is not counted."""
    taken = []
    for _ in range(_TURNS + 1):
        started = time.perf_counter()
        act()
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - started)
    return min(taken[1:])

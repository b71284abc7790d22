"""Patch embedding over raw bytes: normalisation folded into the weights.

A Conv3d whose kernel equals its stride is a matrix product, and `(x / 255 - mean) / std` is
linear too, so patches stay `uint8` until the product. The temporal slots of a still picture hold
the same patch; their weights are added up and the patch is stored once.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional


class FoldedPatchEmbed(nn.Module):
    """Takes the place of the vision tower's `patch_embed`; computes in float32."""

    def __init__(self, convolution: nn.Conv3d, mean: Sequence[float], std: Sequence[float]) -> None:
        """Fold `mean` and `std`, of each channel for values in 0..1, into a convolution."""
        super().__init__()
        weight = convolution.weight.double()
        deviation = torch.tensor(std).to(weight).view(1, -1, 1, 1, 1)
        shift = torch.tensor(mean).to(weight).view(1, -1, 1, 1, 1) / deviation
        scaled = weight / (255 * deviation)
        self.dtype = convolution.weight.dtype
        self.register_buffer("bias", -(weight * shift).flatten(1).sum(1).float())
        self.register_buffer("clip", scaled.flatten(1).float())
        self.register_buffer("still", scaled.sum(2).flatten(1).float())

    def forward(self, patches: Tensor) -> Tensor:
        """Embed `uint8 (n, 3 * temporal * p * p)` of clips or `(n, 3 * p * p)` of stills."""
        still, clip = cast("Tensor", self.still), cast("Tensor", self.clip)
        weight = still if patches.shape[1] == still.shape[1] else clip
        return functional.linear(patches.float(), weight, cast("Tensor", self.bias)).to(self.dtype)

"""Encode: pictures to visual tokens by the vision tower."""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.vlm.checkpoint import load_vision, read_processor, revision
from pipeline.vlm.preprocess import patchify
from schemas.features import Features

Picture = NDArray[np.uint8]
_BATCH_PATCHES: Final = 16384


@dataclass(frozen=True)
class Clip:
    """Frames of equal size, `uint8 (frames, height, width, 3)`, and their true sampling rate."""

    frames: Picture
    fps: float


class Encoder:
    """The vision tower of a checkpoint; holds no weight of the language model."""

    def __init__(
        self,
        directory: Path,
        *,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        cache_bytes: int = 256 << 20,
    ) -> None:
        """Load the tower.

        Raises:
            SetupError: `model_missing` or `model_unsupported`.
        """
        self._processor = read_processor(directory)
        self._tower = load_vision(directory, device, dtype)
        self._device, self._dtype = device, dtype
        self._salt = f"{revision(directory)}/{self._processor}/{dtype}".encode()
        self._cache: OrderedDict[str, Features] = OrderedDict()
        self._cache_left = cache_bytes

    def encode(self, items: Sequence[Picture | Clip]) -> list[Features]:
        """Encode images and clips; equal content is encoded once.

        Args:
            items: images `uint8 (height, width, 3)` or clips, at the size of `smart_resize`.

        Returns:
            Features in the order of the items.
        """
        keys = [self._key(item) for item in items]
        missing = {
            key: item for key, item in zip(keys, items, strict=True) if key not in self._cache
        }
        fresh = {
            features.key: features
            for batch in _batches(missing)
            for features in self._encode_batch(batch)
        }
        found = [fresh.get(key) or self._cache[key] for key in keys]
        for features in found:
            self._remember(features)
        return found

    def _key(self, item: Picture | Clip) -> str:
        frames = item.frames if isinstance(item, Clip) else item
        rate = item.fps if isinstance(item, Clip) else 0
        sha = hashlib.sha256(self._salt)
        sha.update(f"{frames.shape}{rate}".encode())
        sha.update(np.ascontiguousarray(frames).tobytes())
        return sha.hexdigest()

    def _encode_batch(self, batch: Sequence[tuple[str, Picture | Clip]]) -> list[Features]:
        processor = self._processor
        cut = [
            patchify(
                item.frames if isinstance(item, Clip) else item[None],
                processor.mean,
                processor.std,
                patch=processor.patch,
                merge=processor.merge,
                temporal=processor.temporal,
            )
            for _, item in batch
        ]
        patches = torch.from_numpy(np.concatenate([values for values, _ in cut]))
        grids = torch.tensor([grid for _, grid in cut], device=self._device)
        with torch.inference_mode():
            output = self._tower(patches.to(self._device, self._dtype), grid_thw=grids)
        tokens = output.pooler_output.float().cpu().numpy()
        ends = np.cumsum([t * h * w // processor.merge**2 for _, (t, h, w) in cut])
        return [
            Features(part, grid, key, self._seconds_per_grid(item))
            for (key, item), (_, grid), part in zip(
                batch, cut, np.split(tokens, ends[:-1]), strict=True
            )
        ]

    def _seconds_per_grid(self, item: Picture | Clip) -> float | None:
        return self._processor.temporal / item.fps if isinstance(item, Clip) else None

    def _remember(self, features: Features) -> None:
        if features.key in self._cache:
            self._cache.move_to_end(features.key)
            return
        self._cache[features.key] = features
        self._cache_left -= features.tokens.nbytes
        while self._cache_left < 0:
            _, oldest = self._cache.popitem(last=False)
            self._cache_left += oldest.tokens.nbytes


def _batches(
    items: dict[str, Picture | Clip],
) -> list[list[tuple[str, Picture | Clip]]]:
    """Cut items into batches bounded by their patches; equal sizes come together."""
    batches: list[list[tuple[str, Picture | Clip]]] = []
    room = 0
    for key, item in sorted(items.items(), key=lambda pair: _patches(pair[1])):
        if not batches or _patches(item) > room:
            batches.append([])
            room = max(_BATCH_PATCHES, _patches(item))
        batches[-1].append((key, item))
        room -= _patches(item)
    return batches


def _patches(item: Picture | Clip) -> int:
    return (item.frames.size if isinstance(item, Clip) else item.size) // (3 * 14 * 14)

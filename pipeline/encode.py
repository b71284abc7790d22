"""Encode: pictures to visual tokens by the vision tower."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, cast

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.vlm.checkpoint import load_vision
from pipeline.vlm.clip import Clip, Item, Picture
from pipeline.vlm.device import default_dtype, download, upload
from pipeline.vlm.embed import FoldedPatchEmbed
from pipeline.vlm.facts import read_processor, revision
from pipeline.vlm.preprocess import cut
from schemas.errors import InputError
from schemas.features import Features

Grid = tuple[int, int, int]

_BATCH_TOKENS: Final = 4096  # visual tokens of one call; what is larger goes alone


class Encoder:
    """The vision tower of a checkpoint; holds no weight of the language model.

    One thread at a time.
    """

    def __init__(
        self,
        directory: Path,
        *,
        device: str = "cpu",
        dtype: torch.dtype | None = None,
        cache_bytes: int = 256 << 20,
    ) -> None:
        """Load the tower.

        Args:
            directory: of the checkpoint.
            device: of torch.
            dtype: by default bfloat16 on a GPU and float32 on a CPU.
            cache_bytes: of features that are kept for pictures that come again.

        Raises:
            SetupError: `device_missing`, `model_missing` or `model_unsupported`.
        """
        self._dtype = dtype or default_dtype(device)
        self._device = device
        self._processor = read_processor(directory)
        self._tower = load_vision(directory, device, self._dtype)
        convolution = cast("nn.Conv3d", self._tower.get_submodule("patch_embed.proj"))
        folded = FoldedPatchEmbed(convolution, self._processor.mean, self._processor.std)
        self._tower.patch_embed = folded
        self._salt = f"{revision(directory)}/{self._processor}/{self._dtype}".encode()
        self._cache = _Cache(cache_bytes)

    def encode(self, items: Sequence[Item]) -> list[Features]:
        """Encode images and clips; equal content is encoded once.

        Args:
            items: images `uint8 (height, width, 3)` or clips, at the size of `smart_resize`.

        Returns:
            Features in the order of the items.

        Raises:
            InputError: `features_invalid`, for another type, shape or size.
        """
        for item in items:
            self._check(item)
        keys = [self._key(item) for item in items]
        known = {key: self._cache.get(key) for key in keys}
        missing = {key: item for key, item in zip(keys, items, strict=True) if not known[key]}
        # All are begun before one is waited for: a GPU works while the next ones are cut.
        begun = [(batch, *self._begin(batch)) for batch in self._batches(missing)]
        fresh = {one.key: one for batch in begun for one in self._end(*batch)}
        for features in fresh.values():
            self._cache.put(features)
        return [known[key] or fresh[key] for key in keys]

    def _check(self, item: Item) -> None:
        frames = _frames(item)
        side = self._processor.patch * self._processor.merge
        good = frames.dtype == np.uint8 and frames.ndim == 4 and frames.shape[3] == 3
        if not good or 0 in frames.shape or frames.shape[1] % side or frames.shape[2] % side:
            message = (
                f"a picture of {frames.dtype} {frames.shape}: the model takes uint8 RGB with "
                f"sides that are multiples of {side}; resize it by smart_resize"
            )
            raise InputError("features_invalid", message)

    def _key(self, item: Item) -> str:
        rate = item.fps if isinstance(item, Clip) else 0
        sha = hashlib.sha256(self._salt)
        sha.update(f"{_frames(item).shape}{rate}".encode())
        sha.update(np.ascontiguousarray(_frames(item)).data)
        return sha.hexdigest()

    def _tokens(self, item: Item) -> int:
        frames, side = _frames(item), self._processor.patch * self._processor.merge
        count, height, width = map(int, frames.shape[:3])
        return -(-count // self._processor.temporal) * (height // side) * (width // side)

    def _batches(self, items: dict[str, Item]) -> Iterable[list[tuple[str, Item]]]:
        """Cut items into batches bounded by their visual tokens; equal sizes come together."""
        batch: list[tuple[str, Item]] = []
        total = 0

        def place(pair: tuple[str, Item]) -> tuple[bool, int, tuple[int, ...]]:
            return isinstance(pair[1], Clip), self._tokens(pair[1]), _frames(pair[1]).shape

        for key, item in sorted(items.items(), key=place):
            tokens = self._tokens(item)
            mixed = batch and isinstance(batch[0][1], Clip) is not isinstance(item, Clip)
            if mixed or (batch and total + tokens > _BATCH_TOKENS):
                yield batch
                batch, total = [], 0
            batch.append((key, item))
            total += tokens
        if batch:
            yield batch

    def _begin(self, batch: Sequence[tuple[str, Item]]) -> tuple[list[Grid], Tensor]:
        """Encode items that are all stills or all clips; a still is cut without its double.

        Returns:
            The grid of each, and the visual tokens of all, on the device.
        """
        processor = self._processor
        pieces = [
            cut(
                _frames(item),
                patch=processor.patch,
                merge=processor.merge,
                temporal=processor.temporal if isinstance(item, Clip) else 1,
            )
            for _, item in batch
        ]
        grids = [grid for _, grid in pieces]
        patches = upload(np.concatenate([values for values, _ in pieces]), self._device)
        with torch.inference_mode():
            output = self._tower(patches, grid_thw=torch.tensor(grids, device=self._device))
        tokens: Tensor = output.pooler_output
        return grids, tokens

    def _end(
        self, batch: Sequence[tuple[str, Item]], grids: Sequence[Grid], tokens: Tensor
    ) -> list[Features]:
        """Features of a batch, in the type in which they were computed."""
        ends = np.cumsum([self._tokens(item) for _, item in batch])
        parts = np.split(download(tokens), ends[:-1])
        return [  # copied, so that one kept picture does not keep its whole batch
            Features(part.copy(), grid, key, self._seconds_per_grid(item))
            for (key, item), grid, part in zip(batch, grids, parts, strict=True)
        ]

    def _seconds_per_grid(self, item: Item) -> float | None:
        return self._processor.temporal / item.fps if isinstance(item, Clip) else None


class _Cache:
    """Features by key, the least recently used ones dropped when they exceed `room` bytes."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._held: OrderedDict[str, Features] = OrderedDict()

    def get(self, key: str) -> Features | None:
        found = self._held.get(key)
        if found:
            self._held.move_to_end(key)
        return found

    def put(self, features: Features) -> None:
        self._held[features.key] = features
        self._room -= features.tokens.nbytes
        while self._room < 0:
            _, oldest = self._held.popitem(last=False)
            self._room += oldest.tokens.nbytes


def _frames(item: Item) -> Picture:
    return item.frames if isinstance(item, Clip) else item[None]

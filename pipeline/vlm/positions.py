"""M-RoPE positions of text, images and video, for every token of a prompt.

The rule is that of arXiv 2409.12191 (Qwen2-VL) and, for absolute time, 2502.13923 (Qwen2.5-VL).
The library's own function is wrong for video: it forgets the time axis when it goes on after a
clip, and older releases round seconds per grid to an integer.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.errors import InputError


@dataclass(frozen=True)
class VisionBlock:
    """One image or clip in a prompt, as its patch grid before merging.

    Attributes:
        t: temporal grids (frames / 2); 1 for an image.
        h: patches in height.
        w: patches in width.
        seconds_per_grid: seconds between two temporal grids of a clip; None for an image.
    """

    t: int
    h: int
    w: int
    seconds_per_grid: float | None = None

    def tokens(self, merge_size: int = 2) -> int:
        """Visual tokens after merging."""
        return self.t * (self.h // merge_size) * (self.w // merge_size)


Span = int | VisionBlock
"""A number of text tokens, or a vision block."""


def rope_positions(
    spans: Sequence[Span], *, tokens_per_second: float | None = None, merge_size: int = 2
) -> tuple[NDArray[np.int64], int]:
    """Positions on the axes (time, height, width) of each token.

    Text advances all axes by one. Token `(a, b, c)` of a vision block gets
    `next + floor(a * f), next + b, next + c`, and what follows starts at the maximum + 1. The
    factor `f` is 1, or `seconds_per_grid * tokens_per_second` for a clip where the family has
    absolute time; it stays a fraction until the product is floored.

    Args:
        spans: the prompt in order.
        tokens_per_second: of the checkpoint's vision config (Qwen2.5-VL: 2), None for Qwen2-VL.
        merge_size: patches merged on each side.

    Returns:
        Positions `(3, tokens)` and the position of the first generated token, on all axes.
    """
    parts: list[NDArray[np.int64]] = []
    following = 0
    for span in spans:
        if isinstance(span, int):
            parts.append(np.tile(np.arange(following, following + span), (3, 1)))
            following += span
            continue
        block = _block(span, tokens_per_second, merge_size) + following
        parts.append(block)
        following = int(block.max()) + 1
    if not parts:
        return np.zeros((3, 0), dtype=np.int64), 0
    return np.concatenate(parts, axis=1).astype(np.int64), following


def spans_of(
    ids: Sequence[int], blocks: Sequence[VisionBlock], pads: Collection[int], merge_size: int = 2
) -> list[Span]:
    """Runs of text and vision blocks in a prompt's token ids.

    Args:
        ids: token ids, each vision block as one pad token a visual token.
        blocks: the blocks in the order in which they stand in the prompt.
        pads: ids of the image and the video pad.
        merge_size: patches merged on each side.

    Raises:
        InputError: `features_invalid`, if the pads and the blocks do not fit.
    """
    spans: list[Span] = []
    start = text = 0
    waiting = iter(blocks)
    while start < len(ids):
        if ids[start] not in pads:
            text, start = text + 1, start + 1
            continue
        block = next(waiting, None)
        count = 0 if block is None else block.tokens(merge_size)
        if block is None or list(ids[start : start + count]) != [ids[start]] * count:
            message = f"the prompt's visual tokens from {start} on do not fit {block}"
            raise InputError("features_invalid", message)
        spans += [text, block] if text else [block]
        text, start = 0, start + count
    if (left := sum(1 for _ in waiting)) > 0:
        message = f"{left} images or clips have no place in the prompt"
        raise InputError("features_invalid", message)
    return [*spans, text] if text else spans


def _block(
    block: VisionBlock, tokens_per_second: float | None, merge_size: int
) -> NDArray[np.int64]:
    factor = 1.0
    if block.seconds_per_grid is not None and tokens_per_second is not None:
        factor = block.seconds_per_grid * tokens_per_second
    time = np.floor(np.arange(block.t) * factor).astype(np.int64)
    height = np.arange(block.h // merge_size)
    width = np.arange(block.w // merge_size)
    return np.stack([axis.ravel() for axis in np.meshgrid(time, height, width, indexing="ij")])

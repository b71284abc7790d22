"""Preprocessing: pictures to the patches that the vision tower takes, as the reference does.

Written on numpy, because the reference for video needs torchvision. Equal, to the bit, to the
library's image processor on Pillow; a test compares them.
"""

import math
from collections.abc import Sequence
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from schemas.errors import InputError

MAX_ASPECT_RATIO: Final = 200
Grid = tuple[int, int, int]
Value = TypeVar("Value", bound=np.generic)


def smart_resize(
    height: int, width: int, *, min_pixels: int, max_pixels: int, factor: int = 28
) -> tuple[int, int]:
    """The size at which the model sees a picture: multiples of `factor`, within the budget.

    The rule of qwen-vl-utils (`vision_process.py`, Apache-2.0), with the library's clamp to one
    `factor` where a thin picture is above the budget. Pictures of up to half a `factor` on
    one side keep their detail as in qwen-vl-utils; the library would shrink them.

    Args:
        height: pixels.
        width: pixels.
        min_pixels: least area of the result.
        max_pixels: largest area of the result.
        factor: patch size times merge size.

    Returns:
        Height and width in pixels.

    Raises:
        InputError: `aspect_ratio`, if one side is more than 200 times the other.
    """
    check_aspect(width, height)
    rows = max(factor, round(height / factor) * factor)
    columns = max(factor, round(width / factor) * factor)
    if rows * columns > max_pixels:
        beta = math.sqrt(height * width / max_pixels)
        rows = max(factor, math.floor(height / beta / factor) * factor)
        columns = max(factor, math.floor(width / beta / factor) * factor)
    elif rows * columns < min_pixels:
        beta = math.sqrt(min_pixels / (height * width))
        rows = math.ceil(height * beta / factor) * factor
        columns = math.ceil(width * beta / factor) * factor
    return rows, columns


def check_aspect(width: int, height: int) -> None:
    """Refuse what no model of this family takes.

    Raises:
        InputError: `aspect_ratio`, if one side is more than 200 times the other.
    """
    if max(height, width) > MAX_ASPECT_RATIO * min(height, width):
        message = (
            f"a picture of {width}x{height} pixels: one side is more than {MAX_ASPECT_RATIO} "
            "times the other; crop or tile it"
        )
        raise InputError("aspect_ratio", message)


def resize(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Resize `uint8 (h, w, 3)` by Pillow's bicubic filter, the one that the reference uses."""
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


def patchify(
    frames: NDArray[np.uint8],
    mean: Sequence[float],
    std: Sequence[float],
    *,
    patch: int = 14,
    merge: int = 2,
    temporal: int = 2,
) -> tuple[NDArray[np.float32], Grid]:
    """Normalise frames and cut them into patches in the order of the merged tokens.

    Args:
        frames: `(frames, height, width, 3)`; sides are multiples of `patch * merge`. An odd last
            frame, and so a still picture, fills both temporal slots.
        mean: of each channel, for values in 0..1.
        std: of each channel.
        patch: side of a patch in pixels.
        merge: patches a side of one visual token.
        temporal: frames of one patch.

    Returns:
        Patches `(t * h * w, 3 * temporal * patch * patch)` and the grid `(t, h, w)`.
    """
    scaled = (frames.astype(np.float64) * (1 / 255)).astype(np.float32)
    values = (scaled - np.asarray(mean, np.float32)) / np.asarray(std, np.float32)
    return cut(values.astype(np.float32), patch=patch, merge=merge, temporal=temporal)


def cut(
    frames: NDArray[Value], *, patch: int = 14, merge: int = 2, temporal: int = 2
) -> tuple[NDArray[Value], Grid]:
    """Cut frames into patches as they are; arguments and result are those of `patchify`."""
    if missing := -len(frames) % temporal:
        frames = np.concatenate([frames, np.repeat(frames[-1:], missing, axis=0)])
    count, height, width, channels = frames.shape
    t, h, w = count // temporal, height // patch, width // patch
    blocks = frames.reshape(
        t, temporal, h // merge, merge, patch, w // merge, merge, patch, channels
    )
    ordered = blocks.transpose(0, 2, 5, 3, 6, 8, 1, 4, 7)
    return np.ascontiguousarray(ordered.reshape(t * h * w, -1)), (t, h, w)

"""Allocation: how the memory of pictures is taken where one follows another, as frames do.

What glibc maps anew for each picture, and gives back behind it, the kernel has to clear page by
page: a fifth of a small frame's time. Kept, it costs a few MiB for as long as the child lives,
which a page does not pay back: it is drawn once and is large.
"""

import ctypes
from typing import Final

from PIL import Image

_TRIM_THRESHOLD: Final = -1  # malloc.h
_MMAP_THRESHOLD: Final = -3
_LARGER_THAN_A_FRAME: Final = 4 << 20
_KEPT: Final = 8 << 20
_PILLOW_BLOCKS: Final = 2


def keep_memory() -> None:
    """From here on memory that a picture gave back is kept for the next, where libc can do so."""
    choose = getattr(ctypes.CDLL(None), "mallopt", None)
    if choose is not None:
        choose(_MMAP_THRESHOLD, _LARGER_THAN_A_FRAME)
        choose(_TRIM_THRESHOLD, _KEPT)
    Image.core.set_blocks_max(_PILLOW_BLOCKS)  # type: ignore[attr-defined]  # documented so

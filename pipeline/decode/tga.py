"""TGA: told by whether each field of its header is one, because it begins with no mark."""

import struct
from typing import Final

_HEADER: Final = struct.Struct("<BBBHHBHHHHBB")
# Kinds of pictures, and the bits of a pixel that each may have; those from 8 on are run-length.
_DEPTHS: Final = {1: (8, 16), 2: (15, 16, 24, 32), 3: (1, 8, 16)}
_RUN_LENGTH: Final = 8
_PALETTE_DEPTHS: Final = (15, 16, 24, 32)
_RESERVED, _ALPHA_BITS = 0xC0, 0x0F  # of the last byte


def is_tga(head: bytes) -> bool:
    """Whether a file that begins so is a TGA (Truevision TGA, version 2.0)."""
    if len(head) < _HEADER.size:
        return False
    fields = _HEADER.unpack_from(head)
    _, has_palette, kind, first, colours, colour_bits, _, _, width, height, depth, more = fields
    if depth not in _DEPTHS.get(kind & ~_RUN_LENGTH, ()) or not width or not height:
        return False
    if more & _RESERVED or more & _ALPHA_BITS > 8:
        return False
    if has_palette == 0:
        return (first, colours, colour_bits) == (0, 0, 0) and kind & ~_RUN_LENGTH != 1
    return has_palette == 1 and colours > 0 and colour_bits in _PALETTE_DEPTHS


def has_alpha(head: bytes) -> bool:
    """Whether the fourth channel is alpha: many writers leave it 0, and of one bit none agree."""
    return head[_HEADER.size - 1] & _ALPHA_BITS == 8

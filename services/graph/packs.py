"""Packs: the pictures of a shard, cut to what one call of the vision tower takes."""

from collections.abc import Iterator, Sequence
from typing import Final

from services.model.asking import Picture

PACK_TOKENS: Final = 4096
_SIDE: Final = 28  # pixels a side of a visual token


def visual_tokens(pictures: Sequence[Picture]) -> int:
    """Visual tokens of pictures `uint8 (height, width, 3)`."""
    pixels: int = sum(picture.shape[0] * picture.shape[1] for picture in pictures)
    return pixels // _SIDE**2


def packs(pictures: Sequence[Picture]) -> Iterator[list[Picture]]:
    """Pictures in their order, so many at a time; one that is larger comes alone."""
    pack: list[Picture] = []
    for picture in pictures:
        if pack and visual_tokens([*pack, picture]) > PACK_TOKENS:
            yield pack
            pack = []
        pack.append(picture)
    if pack:
        yield pack

"""Packs: the pictures or the clip of a shard, cut to what one call of the vision tower takes."""

from collections.abc import Iterator, Sequence
from typing import Final

from pipeline.vlm.clip import Item, item_tokens

PACK_TOKENS: Final = 4096


def visual_tokens(items: Sequence[Item]) -> int:
    """Visual tokens of pictures and clips."""
    return sum(map(item_tokens, items))


def packs(items: Sequence[Item]) -> Iterator[list[Item]]:
    """Items in their order, so many at a time; one that is larger comes alone."""
    pack: list[Item] = []
    for item in items:
        if pack and visual_tokens([*pack, item]) > PACK_TOKENS:
            yield pack
            pack = []
        pack.append(item)
    if pack:
        yield pack

"""Packs: what is asked about of a shard, cut to what one call of the vision tower takes."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

from pipeline.vlm.clip import Item, item_tokens

T = TypeVar("T")

PACK_TOKENS: Final = 4096


def visual_tokens(items: Sequence[Item]) -> int:
    """Visual tokens of pictures and clips."""
    return sum(map(item_tokens, items))


def packs(things: Sequence[T], tokens: Callable[[T], int]) -> Iterator[list[T]]:
    """Things in their order, so many tokens at a time; one that has more comes alone."""
    pack: list[T] = []
    for one in things:
        if pack and sum(map(tokens, [*pack, one])) > PACK_TOKENS:
            yield pack
            pack = []
        pack.append(one)
    if pack:
        yield pack

"""Prompts that arrive, are read from and are cancelled at random, of whichever decoder."""

import random
from collections.abc import Callable
from itertools import islice
from typing import TypeVar

from pipeline.generate import Handle


class Arrived:
    """A prompt that runs."""

    def __init__(self, handle: Handle) -> None:
        self.handle = handle
        self.stream = iter(handle)
        self.tokens: list[int] = []
        self.cancelled = False

    def read(self, count: int) -> None:
        self.tokens += islice(self.stream, count)

    def cancel(self) -> None:
        self.handle.cancel()
        self.cancelled = True


A = TypeVar("A", bound=Arrived)


def arrivals(ask: Callable[[], A], count: int, chance: random.Random) -> list[A]:
    """So many prompts at the least, some of them read from and some cancelled meanwhile."""
    there: list[A] = []
    while len(there) < count:
        there += [ask() for _ in range(chance.choice((1, 1, 2, 12)))]
        for one in chance.sample(there, min(3, len(there))):
            one.read(chance.randint(0, 6))
        if chance.random() < 0.2:
            chance.choice(there).cancel()
    return there

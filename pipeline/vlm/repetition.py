"""Repetition: greedy decoding that has fallen into a loop."""

from collections.abc import Sequence
from typing import Final

_LONGEST_PERIOD: Final = 32
_LEAST_TOKENS: Final = 24
_LEAST_REPEATS: Final = 4


def repeated_tail(tokens: Sequence[int]) -> int:
    """Tokens at the end that only repeat what stands before them; 0 if there is no loop.

    A loop is a pattern of at most 32 tokens that fills at least the last 24 tokens, four times
    or more. What is counted leaves one occurrence of the pattern.
    """
    for period in range(1, _LONGEST_PERIOD + 1):
        needed = max(_LEAST_TOKENS, _LEAST_REPEATS * period)
        if len(tokens) < needed:
            return 0
        if all(tokens[-i] == tokens[-i - period] for i in range(1, needed - period + 1)):
            count = needed - period
            while count + period < len(tokens) and (
                tokens[-count - 1] == tokens[-count - 1 - period]
            ):
                count += 1
            return count
    return 0

"""Loops of greedy decoding are found, and only loops."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.vlm.repetition import repeated_tail

TOKENS = st.integers(0, 50)


@given(st.lists(TOKENS, max_size=40), st.lists(TOKENS, min_size=1, max_size=32))
def test_a_loop_is_cut_to_one_occurrence(head: list[int], pattern: list[int]) -> None:
    repeats = max(4, -(-24 // len(pattern)))
    tokens = head + pattern * repeats
    cut = repeated_tail(tokens)
    assert cut >= len(pattern) * (repeats - 1)
    rest = tokens[: len(tokens) - cut]
    period = next(p for p in range(1, 33) if repeated(tokens, p))
    assert len(rest) >= period  # one occurrence stays


def repeated(tokens: list[int], period: int) -> bool:
    needed = max(24, 4 * period)
    tail = tokens[-needed:]
    return len(tail) == needed and tail[period:] == tail[:-period]


@given(st.lists(TOKENS, max_size=120))
def test_what_is_counted_only_repeats(tokens: list[int]) -> None:
    cut = repeated_tail(tokens)
    assert (cut > 0) == any(repeated(tokens, period) for period in range(1, 33))


@given(st.integers(0, 60))
def test_a_short_run_is_no_loop(length: int) -> None:
    assert repeated_tail([7] * length) == (length - 1 if length >= 24 else 0)


def test_counting_is_no_loop() -> None:
    assert repeated_tail(list(range(100))) == 0

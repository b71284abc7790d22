"""Prefetch: order, the bound in bytes, errors at their place, and an end that closes the source."""

import threading
import time
from collections.abc import Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.index.prefetch import Prefetch

WAIT_S = 10


@given(st.lists(st.integers(0, 50)), st.integers(1, 100))
def test_items_come_in_order(sizes: list[int], most: int) -> None:
    source = ((index, size) for index, size in enumerate(sizes))
    items = Prefetch(source, lambda item: item[1], most)
    assert list(items) == list(enumerate(sizes))
    items.close()


def test_the_source_is_ahead_by_the_bound_and_no_further() -> None:
    made: list[int] = []
    third = threading.Event()

    def source() -> Generator[int, None, None]:
        for number in range(100):
            made.append(number)
            if number == 3:
                third.set()
            yield 10

    items = Prefetch(source(), lambda size: size, 30)
    assert third.wait(WAIT_S)
    time.sleep(0.2)  # time in which a source without a bound would run on
    assert len(items) == 3
    assert made == [0, 1, 2, 3]  # three wait in the queue, one at its door
    assert next(iter(items)) == 10
    items.close()
    assert len(made) <= 5


def test_an_item_above_the_bound_is_let_through_alone() -> None:
    items = Prefetch((size for size in (100, 1, 100)), lambda size: size, 10)
    assert list(items) == [100, 1, 100]
    items.close()


def test_an_error_is_raised_behind_the_items_before_it() -> None:
    def source() -> Generator[int, None, None]:
        yield 1
        yield 2
        message = "the source broke"
        raise OSError(message)

    items = Prefetch(source(), lambda size: size, 100)
    given = iter(items)
    assert [next(given), next(given)] == [1, 2]
    with pytest.raises(OSError, match="the source broke"):
        next(given)
    items.close()


def test_closing_early_closes_the_source() -> None:
    closed = threading.Event()

    def source() -> Generator[int, None, None]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    items = Prefetch(source(), lambda size: size, 5)
    assert next(iter(items)) == 1
    items.close()
    assert closed.is_set()

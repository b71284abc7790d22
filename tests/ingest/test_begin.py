"""Work that is begun, and left where it may be."""

import threading
from collections.abc import Generator

import pytest

from schemas.errors import TransientError
from services.ingest.begin import Begin, InThreads, WhenWaitedFor

WAYS: list[Begin] = [InThreads(1), WhenWaitedFor]


@pytest.mark.parametrize("begin", WAYS)
def test_its_result_is_what_it_returns(begin: Begin) -> None:
    def work() -> Generator[None, None, int]:
        yield
        yield
        return 3

    assert begin(work()).result() == 3


@pytest.mark.parametrize("begin", WAYS)
def test_what_it_raises_is_raised_where_it_is_waited_for(begin: Begin) -> None:
    def work() -> Generator[None, None, int]:
        yield
        raise TransientError("store_failed", "not now")

    begun = begin(work())
    with pytest.raises(TransientError):
        begun.result()
    begun.wait()


@pytest.mark.parametrize("begin", WAYS)
def test_it_is_left_where_it_may_be(begin: Begin) -> None:
    steps: list[str] = []
    inside, go_on = threading.Event(), threading.Event()

    def work() -> Generator[None, None, int]:
        try:
            yield
            steps.append("first")
            inside.set()
            assert go_on.wait(60)
            yield
            steps.append("second")
            return 3
        finally:
            steps.append("left")

    begun = begin(work())
    if isinstance(begin, InThreads):
        assert inside.wait(60)
    begun.drop()
    go_on.set()
    begun.wait()
    assert steps == (["first", "left"] if isinstance(begin, InThreads) else [])


def test_what_waits_for_its_turn_is_dropped_at_once() -> None:
    """Its work never begins, and what has the turn goes on."""
    begin, go_on, begun_too = InThreads(1), threading.Event(), []

    def work() -> Generator[None, None, int]:
        yield
        assert go_on.wait(60)
        return 3

    def other() -> Generator[None, None, int]:
        begun_too.append(True)
        yield
        return 4

    first, second = begin(work()), begin(other())
    second.drop()
    second.wait()
    go_on.set()
    assert first.result() == 3
    assert not begun_too

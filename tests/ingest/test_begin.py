"""Work that is begun, and left where it may be."""

import threading
from collections.abc import Generator

import pytest

from schemas.errors import TransientError
from services.ingest.begin import Begin, InThread, WhenWaitedFor

WAYS: list[Begin] = [InThread, WhenWaitedFor]


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
    if begin is InThread:
        assert inside.wait(60)
    begun.drop()
    go_on.set()
    begun.wait()
    assert steps == (["first", "left"] if begin is InThread else [])

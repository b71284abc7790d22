"""Begin: how the questions about a part are asked while others of its medium are read."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol, TypeVar

T = TypeVar("T")


class Begin(Protocol):
    """Begins some work, and gives what waits for its result and raises what it raised."""

    def __call__(self, work: Callable[[], T], /) -> Callable[[], T]:
        """See the class."""


def in_thread(work: Callable[[], T], /) -> Callable[[], T]:
    """At once, in a thread of its own, which the process does not wait for when it ends."""
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised where the result is waited for
            done.set_exception(error)

    threading.Thread(target=run, name="asked", daemon=True).start()
    return done.result


def when_waited_for(work: Callable[[], T], /) -> Callable[[], T]:
    """Only when its result is waited for, so that one thing happens after the other."""
    return work

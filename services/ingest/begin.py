"""Begin: questions about a part are asked while others of its medium are read.

Work is a generator that yields where it may be left, and returns what comes of it.
"""

import threading
from collections.abc import Generator
from concurrent.futures import Future
from contextlib import closing
from typing import Final, Generic, Protocol, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Work = Generator[None, None, T]

_LOOK_S: Final = 0.2  # between two looks whether what waits has been dropped
ROOM: Final = 64 << 20
"""Bytes of pictures that are asked about at a time, over which a medium adds no second part."""


class Begun(Protocol[T_co]):
    """Work that has begun, or will once its result is waited for."""

    def done(self) -> bool:
        """Whether it has ended, however."""

    def result(self) -> T_co:
        """Wait for what comes of it.

        Raises:
            Exception: what it raised.
        """

    def drop(self) -> None:
        """Have it leave off where it may; nobody will ask for its result."""

    def wait(self) -> None:
        """Wait until it has ended."""


class Begin(Protocol):
    """A way to begin work."""

    def __call__(self, work: Work[T], /) -> Begun[T]:
        """Begin it."""


class InThreads:
    """Each at once, in a thread of its own, of which so many go on at a time."""

    def __init__(self, count: int) -> None:
        """No thread runs yet.

        Args:
            count: whose work goes on; the others wait, and hold nothing but what they are about.
        """
        self._turns = threading.Semaphore(count)

    def __call__(self, work: Work[T], /) -> Begun[T]:
        """See `Begin`.

        Raises:
            RuntimeError: the system gives no further thread.
        """
        return _Thread(work, self._turns)


class _Thread(Generic[T]):
    """See `Begun`. The process does not wait for it when it ends."""

    def __init__(self, work: Work[T], turns: threading.Semaphore) -> None:
        self._work, self._turns = work, turns
        self._dropped, self._future = threading.Event(), Future[T]()
        self._thread = threading.Thread(target=self._run, name="asked", daemon=True)
        self._thread.start()

    def done(self) -> bool:
        """See `Begun`."""
        return self._future.done()

    def result(self) -> T:
        """See `Begun`."""
        return self._future.result()

    def drop(self) -> None:
        """See `Begun`."""
        self._dropped.set()

    def wait(self) -> None:
        """See `Begun`."""
        self._thread.join()

    def _run(self) -> None:
        while not self._turns.acquire(timeout=_LOOK_S):
            if self._dropped.is_set():
                self._future.cancel()
                return
        try:
            with closing(self._work):
                while not self._dropped.is_set():
                    next(self._work)
        except StopIteration as end:
            self._future.set_result(end.value)
        except BaseException as error:  # noqa: BLE001 - raised where the result is waited for
            # Without this frame, which holds the future: they would hold each other.
            trace = error.__traceback__
            self._future.set_exception(error.with_traceback(trace and trace.tb_next))
        else:
            self._future.cancel()
        finally:
            self._turns.release()


class WhenWaitedFor(Generic[T]):
    """Done only when its result is waited for, so that one thing comes after the other."""

    def __init__(self, work: Work[T], /) -> None:
        self._work = work

    def done(self) -> bool:
        """See `Begun`."""
        return False

    def result(self) -> T:
        """See `Begun`."""
        with closing(self._work):
            while True:
                try:
                    next(self._work)
                except StopIteration as end:
                    result: T = end.value
                    return result

    def drop(self) -> None:
        """See `Begun`."""
        self._work.close()

    def wait(self) -> None:
        """See `Begun`; nothing runs."""


class Room:
    """What is asked about at a time, for all threads of a worker."""

    def __init__(self, parts: int = 1, size: int = ROOM) -> None:
        """It is empty.

        Args:
            parts: of one medium.
            size: bytes of all pictures; one part of each medium has room in any case.
        """
        self.parts = parts
        self._size, self._held, self._lock = size, 0, threading.Lock()

    def add(self, size: int) -> None:
        """So many bytes more, or fewer."""
        with self._lock:
            self._held += size

    def is_full(self) -> bool:
        """Whether there is no room for a second part of a medium."""
        with self._lock:
            return self._held >= self._size

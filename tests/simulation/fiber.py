"""Fiber: code that blocks, as a process of the virtual clock.

The code under test is plain: it calls a store and gets an answer. Here it runs in a thread of its
own, of which only one runs at a time, and `sleep` hands the turn back with the seconds to wait. So
time passes, and faults happen, inside of any call that the code makes.
"""

import threading
from _thread import allocate_lock
from collections.abc import Callable, Generator
from typing import Any, Final, TypeVar

T = TypeVar("T")
Process = Generator[float, None, None]
"""What the clock runs: a generator of the seconds until its next step."""

_here: Final = threading.local()
_idle: "list[_Thread]" = []


class Killed(BaseException):
    """The process of this code has crashed."""


def sleep(seconds: float) -> None:
    """Let virtual time pass; in code that `fiber` runs."""
    thread: _Thread = _here.thread
    thread.pause(seconds)


def fiber(action: Callable[[], T]) -> Generator[float, None, T]:
    """Run code as a process that yields the seconds of its sleeps; closing it kills the code."""
    thread = _idle.pop() if _idle else _Thread()
    thread.begin(action)
    try:
        while not thread.step():
            yield thread.seconds
    finally:
        thread.kill()
        _idle.append(thread)
    result: T = thread.result()
    return result


class _Thread:
    """A thread that takes turns with the one that steps it."""

    def __init__(self) -> None:
        self._mine, self._yours = allocate_lock(), allocate_lock()
        self._mine.acquire()
        self._yours.acquire()
        self._action: Callable[[], Any] = lambda: None
        self._killed, self._ended = False, True
        self._error: BaseException | None = None
        self._value: Any = None
        self.seconds = 0.0
        threading.Thread(target=self._loop, name="fiber", daemon=True).start()

    def begin(self, action: Callable[[], Any]) -> None:
        self._action, self._killed, self._ended = action, False, False
        self._error = self._value = None

    def step(self) -> bool:
        """Let the code go on to its next sleep; whether it has ended instead."""
        self._mine.release()
        self._yours.acquire()
        return self._ended

    def kill(self) -> None:
        self._killed = True
        while not self._ended:
            self.step()

    def result(self) -> Any:  # noqa: ANN401 - whatever the code returns
        if self._error is not None:
            raise self._error
        return self._value

    def pause(self, seconds: float) -> None:
        """By the code: give the turn away."""
        if not self._killed:
            self.seconds = seconds
            self._yours.release()
            self._mine.acquire()
        if self._killed:
            raise Killed

    def _loop(self) -> None:
        _here.thread = self
        while True:
            self._mine.acquire()
            try:
                if not self._killed:
                    self._value = self._action()
            except BaseException as error:  # noqa: BLE001 - raised where the fiber is stepped
                self._error = error
            self._action = lambda: None
            self._ended = True
            self._yours.release()

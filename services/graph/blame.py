"""Blame: whose fault it is that a model fails on an item alone, the item's or its own.

The item is to blame if one like another that went well before goes well. If that one fails too, the
model is broken, and its process ends at once: another one takes its place.
"""

import logging
import os
import threading
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from schemas.errors import InputError

log = logging.getLogger(__name__)

In = TypeVar("In")

_BROKEN: Final = 3  # failures of a model that has never done anything


class Blame(Generic[In]):
    """What a model has done, and has failed to do; for any number of threads."""

    def __init__(
        self,
        attempt: Callable[[In], object],
        alike: Callable[[In], In],
        broken: Callable[[], None],
    ) -> None:
        """Nothing is known yet.

        Args:
            attempt: does the work for an item.
            alike: an item like another, that no cache of the model knows.
            broken: called when the model can do no more; it should end this process.
        """
        self._attempt, self._alike, self._broken = attempt, alike, broken
        self._lock = threading.Lock()
        self._failures = 0
        self._good: tuple[int, In] | None = None  # the cheapest that went well

    def good(self, item: In, cost: int) -> None:
        """An item of a cost went well."""
        with self._lock:
            if self._good is None or cost < self._good[0]:
                self._good = cost, item

    def of(self, error: Exception) -> Exception:
        """What to say of an item that failed alone.

        Returns:
            InputError `too_large` or `model_failed` if it is to blame; else the error as it came.
        """
        with self._lock:
            self._failures += 1
            good = self._good
        # What is kept of it must not hold the tensors of its frames: memory may be short.
        error.__context__ = None
        error = error.with_traceback(None)
        if good is None:
            return error
        try:
            self._attempt(self._alike(good[1]))
        except Exception:
            log.exception("the model is broken: it fails on what it could do before")
            self._broken()
            return error
        return _blamed(error)

    def check(self) -> None:
        """Whether the model can be expected to do anything.

        Raises:
            RuntimeError: all that it has been asked so far has failed.
        """
        if self._good is None and self._failures >= _BROKEN:
            message = f"all of the {self._failures} items so far failed"
            raise RuntimeError(message)


def end_process() -> None:
    """End the process of a broken model; Serve starts another one."""
    os._exit(1)


def _blamed(error: Exception) -> InputError:
    """The error as that of the item that it is due to."""
    words = " ".join(f"{type(error).__name__}: {error}".split())
    memory = isinstance(error, MemoryError) or "out of memory" in words
    message = f"the model fails on this picture or prompt alone ({words:.200}); leave it out"
    return InputError("too_large" if memory else "model_failed", message)

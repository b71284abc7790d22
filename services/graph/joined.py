"""Joined: work that a model does together for all that ask; what fails is done again alone."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from schemas.errors import ReelpageError
from services.graph.blame import Blame

log = logging.getLogger(__name__)

In = TypeVar("In")
Out = TypeVar("Out")


class Joined(Generic[In, Out]):
    """The work, for any number of threads."""

    def __init__(
        self, work: Callable[[In], Out], cost: Callable[[In], int], blame: Blame[In]
    ) -> None:
        """Nothing runs yet.

        Args:
            work: joins what other threads have it do; all that is in it may fail with one of them.
            cost: of an item, tokens.
            blame: for what fails alone.
        """
        self._work, self._cost, self._blame = work, cost, blame
        self._changed = threading.Condition()
        self._beside, self._apart, self._is_alone = 0, 0, False

    def __call__(self, item: In) -> Out:
        """The result of one item.

        Raises:
            InputError: `too_large` or `model_failed`: the model fails on it, and on it alone.
            Exception: what else the work raises for it.
        """
        try:
            with self._with_others():
                return self._do(item)
        except ReelpageError:
            raise
        except Exception as error:  # noqa: BLE001 - another item may be to blame
            log.warning("an item failed, perhaps by another one: %r", error)
        with self._alone():
            try:
                return self._do(item)
            except ReelpageError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, somebody is to blame
                raise self._blame.of(error) from None

    def _do(self, item: In) -> Out:
        result = self._work(item)
        self._blame.good(item, self._cost(item))
        return result

    @contextmanager
    def _with_others(self) -> Iterator[None]:
        """Not before those that have to be alone have been."""
        with self._changed:
            self._changed.wait_for(lambda: not self._apart)
            self._beside += 1
        try:
            yield
        finally:
            with self._changed:
                self._beside -= 1
                self._changed.notify_all()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """When all others have ended; none begins meanwhile."""
        with self._changed:
            self._apart += 1
            self._changed.wait_for(lambda: not self._beside and not self._is_alone)
            self._is_alone = True
        try:
            yield
        finally:
            with self._changed:
                self._apart, self._is_alone = self._apart - 1, False
                self._changed.notify_all()

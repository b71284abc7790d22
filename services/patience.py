"""Patience: what an ingest worker does while a service is away: say so, and try again."""

import logging
import random
import time
from collections.abc import Callable
from typing import Final, TypeVar

from schemas.errors import TransientError

log = logging.getLogger(__name__)

_FIRST_S: Final = 0.5
_LONGEST_S: Final = 10.0

T = TypeVar("T")


def patiently(action: Callable[[], T]) -> T:
    """Repeat an action until it succeeds, with a line in the log for each failure.

    For the start of a process that has nothing else to do; no input waits in it.

    Raises:
        SetupError: no attempt helps.
    """
    wait = _FIRST_S
    while True:
        try:
            return action()
        except TransientError as error:
            log.warning("tried again in %.1f s: %s", wait, error)
            time.sleep(random.uniform(0.5, 1) * wait)
            wait = min(2 * wait, _LONGEST_S)

"""Worker: turns the jobs of a log into rows, exactly once.

Three kinds of threads share the partitions of a `Board`: the caller's, which alone speaks with the
log; the slots, which work on a job each; and the landing thread, which resumes partitions and lands
what is ready, in order. The simulator runs the same board, work and protocol under every fault.
"""

import logging
import threading
import time
from contextlib import suppress
from typing import Final, Protocol

from schemas.errors import TransientError
from services.ingest.board import Board
from services.ingest.landing import LandingThread
from services.ingest.slots import Slots

log = logging.getLogger(__name__)

DRAIN_S: Final = 30.0
"""A worker that is told to stop is gone after this time at the latest."""
_LANDING_S: Final = 5.0  # of it, for the landing in work
_AGAIN_S: Final = 1.0
_HANGS_S: Final = 120.0  # much more than any wait for a broker


class Log(Protocol):
    """Where jobs come from; used by one thread."""

    @property
    def ended(self) -> bool:
        """Whether every job has come and landed; a topic never ends."""

    def poll(self, *, fetch: bool = True) -> None:
        """Let jobs into the board's windows, for a moment.

        Raises:
            TransientError: poll again.
            SetupError: it refuses this worker.
        """

    def commit(self) -> None:
        """Tell the log how far everything has landed."""


class Worker:
    """One worker; `run` returns when its log has ended or it has drained."""

    def __init__(self, source: Log, board: Board, slots: Slots, landing: LandingThread) -> None:
        """Take the parts; nothing is started.

        Args:
            source: where jobs come from.
            board: what is known of them.
            slots: work on them.
            landing: lands what they give.
        """
        self._log, self.board, self.slots, self._landing = source, board, slots, landing
        self._draining = threading.Event()
        self._turned_at, self._answers = time.monotonic(), False

    def run(self) -> None:
        """Work; goes on when a log or store that was away is back.

        Raises:
            SetupError: the log, the store or the model refuses this worker.
        """
        self._landing.start()
        self.slots.start()
        try:
            while not self._draining.is_set() and not self._log.ended:
                self._poll()
            self._finish()
        finally:
            self.slots.stop()
            self._landing.stop(_LANDING_S)
            self.slots.join()

    @property
    def landing_s(self) -> float:
        """For how many seconds it has landed."""
        return self._landing.seconds

    def is_alive(self) -> bool:
        """Whether it still turns to its log; one that does not hangs."""
        return time.monotonic() - self._turned_at < _HANGS_S

    def is_ready(self) -> bool:
        """Whether its log and its tables answer and it takes jobs."""
        return self._answers and self._landing.answers and not self._draining.is_set()

    def drain(self) -> None:
        """Take no more records; parts in work end and land, within `DRAIN_S` seconds."""
        self._draining.set()

    def _poll(self, *, fetch: bool = True) -> None:
        self._turned_at = time.monotonic()
        try:
            self._log.poll(fetch=fetch)
            self._answers = True
        except TransientError as error:
            self._answers = False
            log.warning("polled again later: %s", error)
            self.board.wait(_AGAIN_S)
        self.slots.check()
        self._landing.check()

    def _finish(self) -> None:
        give_up = time.monotonic() + DRAIN_S - _LANDING_S
        self.slots.stop()
        while (self.slots.busy or self.board.ready()) and time.monotonic() < give_up:
            self._poll(fetch=False)
        with suppress(TransientError):
            self._log.commit()

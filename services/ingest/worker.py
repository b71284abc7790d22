"""Ingest: a worker that turns the jobs of a topic into rows, exactly once.

Three kinds of threads share the partitions of a `Board`: the poller, which alone speaks with the
broker; the slots, which work on a job each; and the lander, which resumes partitions and lands
what is ready, in order. The simulator runs the same window and protocol under every fault.
"""

import logging
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from pipeline.land.perform import Performer
from pipeline.land.protocol import Protocol
from schemas.errors import TransientError
from schemas.jobs import Job
from services.ingest.board import Board
from services.ingest.landing import Lander
from services.ingest.poller import Poller
from services.ingest.slots import Slots
from services.ingest.work import Work
from services.settings import Settings
from services.topic.broker import Sender

log = logging.getLogger(__name__)

DRAIN_S: Final = 30.0
"""A worker that is told to stop is gone after this time at the latest."""
_LANDER_S: Final = 5.0  # of it, for the landing in work
_AGAIN_S: Final = 1.0


class Ingest:
    """One worker process; `run` returns when it has drained."""

    def __init__(
        self, settings: Settings, work: Work, performer: Performer, protocol: Protocol
    ) -> None:
        """Take the parts; nothing is started."""
        self._settings = settings
        self._sender: Sender | None = None
        self._poller: Poller | None = None
        self.slots = Slots(settings.slots, work, settings.topic, self._send)
        self._board = Board(self.slots.start)
        self._lander = Lander(
            self._board, performer, protocol, f"{settings.group}/{settings.topic}"
        )
        self._draining = threading.Event()

    def run(self) -> None:
        """Work until `drain` is called; goes on when a broker or store that was away is back.

        Raises:
            SetupError: the broker or the store refuses this worker.
        """
        self._lander.start()
        try:
            while not self._draining.is_set():
                try:
                    self._poller = self._poller or Poller(self._settings, self._board)
                    self._poller.poll()
                except TransientError as error:
                    log.warning("polled again later: %s", error)
                    self._draining.wait(_AGAIN_S)
                self._lander.check()
            if self._poller is not None:
                self._finish(self._poller)
        finally:
            self.slots.stop()
            self._lander.stop(_LANDER_S)

    def drain(self) -> None:
        """Take no more records; units in work end and land, within `DRAIN_S` seconds."""
        self._draining.set()

    def _finish(self, poller: "Poller") -> None:
        give_up = time.monotonic() + DRAIN_S - _LANDER_S
        self.slots.stop()
        while time.monotonic() < give_up:
            with suppress(TransientError):
                poller.poll(fetch=False)
            self._lander.check()
            if not self.slots.busy and not self._board.ready():
                break
        poller.commit()

    def _send(self, jobs: Iterable[tuple[str, Job]]) -> None:
        self._sender = self._sender or Sender(self._settings)
        self._sender.send(jobs)

"""Landing: the thread of an ingest worker that resumes partitions and lands what is ready."""

import logging
import secrets
import threading
from typing import Final

from pipeline.land.batch import batch_of
from pipeline.land.perform import Performer
from pipeline.land.protocol import Protocol
from pipeline.land.window import Done
from schemas.errors import TransientError
from services.ingest.board import Board
from services.ingest.partition import Marked, Partition

log = logging.getLogger(__name__)

_IDLE_S: Final = 0.1
_AGAIN_S: Final = 1.0


class Lander:
    """A thread that resumes partitions and lands what is ready."""

    def __init__(self, board: Board, performer: Performer, protocol: Protocol, group: str) -> None:
        self._board, self._performer, self._protocol = board, performer, protocol
        self._group = group
        self._done = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="lander", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, within_s: float) -> None:
        """End behind the landing in work, if it takes no longer; another worker finishes it."""
        self._done.set()
        if self._thread.is_alive():
            self._thread.join(timeout=within_s)

    def check(self) -> None:
        """Raise what ended the thread."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while not self._done.is_set():
                if not self._round():
                    self._done.wait(_IDLE_S)
        except BaseException as error:  # noqa: BLE001 - handed to the worker's main thread
            self._error = error

    def _round(self) -> bool:
        """One landing of each partition; whether anything was done."""
        busy = False
        try:
            for number in self._board.waiting():
                resumed = self._performer.run(self._protocol.resume(f"{self._group}/{number}"))
                self._board.resumed(number, resumed)
                busy = True
            for partition, run in self._board.ready():
                self._land(partition, run)
                busy = True
        except TransientError as error:
            log.warning("landing goes on later: %s", error)
            self._done.wait(_AGAIN_S)
        return busy

    def _land(self, partition: Partition, run: list[Done[Marked]]) -> None:
        """Land the units whose turn has come; the same batch again after every error."""
        app = f"{self._group}/{partition.number}"
        number = secrets.randbelow(2**63 - 1) + 1
        batch = batch_of(app, partition.window.position, run, number)
        while not self._done.is_set():
            try:
                landed = self._performer.run(self._protocol.land(batch))
            except TransientError as error:
                log.warning("%s: landing again: %s", app, error)
                self._done.wait(_AGAIN_S)
                continue
            if landed:
                self._board.landed(partition, batch.last)
            else:
                log.warning("%s: another worker has gone on from here", app)
                self._board.stale(partition)
            return

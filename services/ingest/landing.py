"""Landing: the thread of an ingest worker that resumes partitions and lands what is ready."""

import logging
import secrets
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from pipeline.land.batch import batch_of
from pipeline.land.perform import Performer
from pipeline.land.protocol import Batch, Protocol, Resumed
from pipeline.land.window import Done
from schemas.errors import ReelpageError, SetupError
from services.ingest.board import PARTS, Board
from services.ingest.partition import Marked, Partition
from services.stopwatch import Stopwatch

log = logging.getLogger(__name__)

_IDLE_S: Final = 0.05
_AGAIN_S: Final = 1.0


class LandingThread:
    """Resumes partitions and lands what is ready; no fault that may pass ends it."""

    def __init__(
        self,
        board: Board,
        performer: Performer,
        protocol: Protocol,
        group: str,
        *,
        linger_s: float = 0.0,
        told: Callable[[Batch], object] = lambda _: None,
    ) -> None:
        """Nothing runs yet.

        Args:
            board: where parts are.
            performer: of the protocol's effects.
            protocol: of landing.
            group: what application ids of partitions begin with.
            linger_s: least time between two landings of a partition while jobs are in work, so
                that they are fewer.
            told: of each batch that has landed.
        """
        self._board, self._performer, self._protocol = board, performer, protocol
        self.answers = True
        """Whether the tables and the store answered last."""
        self._group, self._linger_s, self._told = group, linger_s, told
        self._landed_at: dict[int, float] = {}
        self._busy = Stopwatch()
        self._done = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="landing", daemon=True)

    @property
    def seconds(self) -> float:
        """For how long it has worked."""
        return self._busy.seconds

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
        except BaseException as error:  # noqa: BLE001 - raised in the worker's main thread
            self._error = error

    def _round(self) -> bool:
        """One landing of each partition; whether anything was done."""
        busy = False
        for number in self._board.waiting():
            busy |= self._patiently(partial(self._resume, number))
        for partition, run in self._board.ready():
            if self._is_due(partition, run):
                self._land(partition, run)
                busy = True
        return busy

    def _resume(self, number: int) -> None:
        resumed: Resumed | None = self._performer.run(
            self._protocol.resume(f"{self._group}/{number}")
        )
        self._board.resumed(number, resumed)

    def _is_due(self, partition: Partition, run: list[Done[Marked]]) -> bool:
        since = time.monotonic() - self._landed_at.get(partition.number, 0.0)
        window = partition.window
        worth = len(run) >= PARTS or window.full or window.at_rest
        return worth or since >= self._linger_s

    def _land(self, partition: Partition, run: list[Done[Marked]]) -> None:
        """Land the parts whose turn has come; the same batch again after every error."""
        app = f"{self._group}/{partition.number}"
        number = secrets.randbelow(2**63 - 1) + 1
        batch = batch_of(app, partition.window.position, run, number)

        def land() -> None:
            if self._performer.run(self._protocol.land(batch)):
                self._board.landed(partition, batch.last)
                self._told(batch)
            else:
                log.warning("%s: another worker has gone on from here", app)
                self._board.stale(partition)

        while not self._patiently(land) and not self._done.is_set():
            pass
        self._landed_at[partition.number] = time.monotonic()

    def _patiently(self, action: Callable[[], Any]) -> bool:
        """Whether an action succeeded; if not, it may be tried again now.

        Raises:
            SetupError: no second attempt helps.
        """
        try:
            with self._busy:
                action()
        except SetupError:
            raise
        except Exception as error:
            self.answers = False
            log.warning("landing goes on later: %s", error, exc_info=not _is_ours(error))
            self._done.wait(_AGAIN_S)
            return False
        self.answers = True
        return True


def _is_ours(error: Exception) -> bool:
    return isinstance(error, ReelpageError)

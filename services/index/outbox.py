"""Outbox: rows that wait to land, and what has landed, for the two threads of a run."""

import threading
import time
from typing import Final

from pipeline.land.lake import Lake, Landing
from pipeline.land.maintenance.forget import is_forgotten
from pipeline.land.rows import Row, to_table
from pipeline.land.store import ShardStore
from services.index.progress import Stage

_EVERY_S: Final = 2.0
_ROWS: Final = 2000
_ORDER: Final = ("segments", "frames", "pages", "answers", "failures", "media")
"""`media` last: its row says that everything else of the medium has landed."""


class Outbox:
    """Collects rows and lands them a few at a time, one commit a table.

    The feeding thread asks for positions while the other lands: a lock keeps the lake's handles
    to one thread at a time.
    """

    def __init__(self, lake: Lake, stage: Stage, run_id: str) -> None:
        self.run_id = run_id
        self._lake, self._stage = lake, stage
        self._lock = threading.Lock()
        self._waiting: dict[str, list[Landing]] = {}
        self._landed_at = time.monotonic()

    def position(self, table: str, app: str) -> int | None:
        """The last position that landed under an application id, or None."""
        with self._lock:
            return self._lake.position(table, app)

    def finished(self, table: str, app: str) -> bool:
        """Whether the final landing of an application id is in the table."""
        with self._lock:
            return self._lake.finished(table, app)

    def forgotten(self, media_id: str) -> bool:
        """Whether a medium was removed on request and must not come back."""
        return is_forgotten(self._lake.place.objects, media_id)

    def shards(self, media_id: str, sampling_id: str) -> ShardStore:
        """The lake's shards of a medium."""
        return ShardStore(self._lake.place.objects, media_id, sampling_id)

    def put(
        self, table: str, app: str, position: int, rows: list[Row], *, final: bool = False
    ) -> None:
        """Queue rows at a position of an application id."""
        self._waiting.setdefault(table, []).append(
            Landing(app, position, to_table(table, rows), final)
        )
        self._stage.queue += len(rows)

    def flush_if_due(self) -> None:
        """Land what waits if it has waited for long or has become much."""
        due = time.monotonic() - self._landed_at > _EVERY_S
        if due or self._stage.queue >= _ROWS:
            self.flush()

    def flush(self) -> None:
        """Land what waits, table by table.

        Raises:
            SetupError: the lake cannot be written on; what has landed stays.
        """
        for table in _ORDER:
            if landings := self._waiting.pop(table, None):
                with self._lock:
                    self._stage.done += self._lake.land(table, landings)
        self._stage.queue = 0
        self._landed_at = time.monotonic()

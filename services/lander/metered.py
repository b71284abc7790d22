"""Metered: tables that count and time what is committed to them."""

import time
from collections.abc import Mapping, Sequence
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from pipeline.land.commit import Rows, Tables
from pipeline.land.parquet import DataFile
from schemas.errors import ReelpageError

_SECONDS: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
COMMIT_SECONDS: Final = Histogram(
    "reelpage_commit_seconds",
    "Time from an intent to its end in a table, the wait for others among it",
    ["table"],
    buckets=_SECONDS,
)
COMMITTED_ROWS: Final = Counter("reelpage_committed_rows", "Rows added to a table", ["table"])
INTENTS: Final = Counter(
    "reelpage_intents",
    "Intents that have ended: committed, stale (another worker goes on) or failed",
    ["table", "result"],
)
INTENTS_WAITING: Final = Gauge("reelpage_intents_waiting", "Intents that wait for their commit")


class Metered:
    """`Tables` that are watched."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def look(self, table: str, apps: Sequence[str], *, reload: bool) -> dict[str, int | None]:
        """See `Tables`."""
        return self._tables.look(table, apps, reload=reload)

    def commit(
        self,
        table: str,
        expected: Mapping[str, int | None],
        positions: Mapping[str, int],
        rows: Rows,
    ) -> bool:
        """See `Tables`."""
        result, began = "failed", time.perf_counter()
        try:
            with INTENTS_WAITING.track_inprogress():
                done = self._tables.commit(table, expected, positions, rows)
            result = "committed" if done else "stale"
        finally:
            COMMIT_SECONDS.labels(table).observe(time.perf_counter() - began)
            INTENTS.labels(table, result).inc()
        if done and rows is not None:
            COMMITTED_ROWS.labels(table).inc(rows.rows if isinstance(rows, DataFile) else len(rows))
        return done

    def is_alive(self) -> bool:
        """See `Subject`."""
        return True

    def is_ready(self) -> bool:
        """Whether the lake can be reached."""
        try:
            self._tables.look("media", [], reload=True)
        except ReelpageError:
            return False
        return True

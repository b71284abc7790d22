"""Land: rows into Delta tables, exactly once.

Each landing carries an application transaction `(app, position)`, as the Delta protocol defines
it. It is checked and written through the same table handle: a handle that has not seen a
competitor's commit is refused by the log, so check and write together are a compare-and-set. The
same check followed by a write through the table's address would reload and lose that fence.
"""

import fcntl
import json
import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from pipeline.land.parquet import write_file
from pipeline.land.place import Place
from pipeline.land.store import disk_errors, local_place
from pipeline.land.tables import append, check_version, open_or_create, raise_if_hopeless
from schemas.errors import SetupError, TransientError
from schemas.tables import TABLES

_ATTEMPTS: Final = 8
_FINAL: Final = "#final"


@dataclass(frozen=True)
class Landing:
    """Rows at one position of one application id, for one table.

    Attributes:
        app: application id.
        position: counts from 0 without gaps.
        rows: of the table's schema.
        final: whether nothing follows under this id.
    """

    app: str
    position: int
    rows: pa.Table
    final: bool = False


class Lake:
    """A folder of Delta tables, opened for writing by one process at a time."""

    def __init__(self, root: Path) -> None:
        """Open the lake, or make it.

        Raises:
            SetupError: `lake_not_writable`, `lake_locked`, `lake_newer`, `lake_corrupt` or
                `disk_full`, naming the folder and the remedy.
        """
        self.root, self.place = root, local_place(root)
        try:
            with disk_errors(root):
                root.mkdir(parents=True, exist_ok=True)
                self._lock = _lock(root)
        except OSError as error:
            message = f"{root}: cannot be written ({error.strerror}); choose another --to folder"
            raise SetupError("lake_not_writable", message) from error
        try:
            check_version(self.place, create=True)
        except BaseException:
            self._lock_off()
            raise
        self._tables: dict[str, DeltaTable] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let another process in."""
        self._tables.clear()
        self._lock_off()

    def _lock_off(self) -> None:
        os.close(self._lock)

    def position(self, table: str, app: str) -> int | None:
        """The last position that landed under an application id, or None."""
        return self._open(table).transaction_version(app)

    def finished(self, table: str, app: str) -> bool:
        """Whether the final landing of an application id is in the table."""
        return self.position(table, app + _FINAL) is not None

    def land(self, table: str, landings: Sequence[Landing]) -> int:
        """Commit the landings that are not in the table yet, all in one Delta commit.

        A failed commit is no failure before the log says so: its acknowledgement may have been
        lost. So every attempt starts from the table's own positions.

        Args:
            table: a name in `TABLES`.
            landings: in the order of their positions for each application id.

        Returns:
            The number of rows that were missing when the call began.

        Raises:
            TransientError: `commit_conflict`, when other writers won every attempt.
            SetupError: `disk_full` or `lake_not_writable`.
            ValueError: a landing leaves a gap behind its predecessor, or its rows are not of the
                table's schema; a bug of the caller.
        """
        written: int | None = None
        last: Exception | None = None
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(random.uniform(0, 0.05 * 2**attempt))
            with disk_errors(self.root):
                try:
                    handle = self._open(table, reload=attempt > 0)
                    missing = _missing(handle, landings)
                    if written is None:
                        written = sum(landing.rows.num_rows for landing in missing)
                    if missing:
                        _commit(handle, self.place, table, missing)
                    return written
                except (DeltaError, OSError) as error:
                    raise_if_hopeless(error)
                    last = error
        message = f"{self.root}/{table}: {_ATTEMPTS} commits failed, the last with: {last}"
        raise TransientError("commit_conflict", message) from last

    def _open(self, table: str, *, reload: bool = False) -> DeltaTable:
        if reload:
            self._tables.pop(table, None)
        if table not in self._tables:
            with disk_errors(self.root):
                self._tables[table] = open_or_create(self.place, table)
        return self._tables[table]


def _missing(handle: DeltaTable, landings: Sequence[Landing]) -> list[Landing]:
    """The landings that come next after what the table holds."""
    known: dict[str, int] = {}
    missing = []
    for landing in landings:
        if landing.app not in known:
            version = handle.transaction_version(landing.app)
            known[landing.app] = -1 if version is None else version
        if landing.position <= known[landing.app]:
            if landing.final and handle.transaction_version(landing.app + _FINAL) is None:
                # The part landed when nobody knew yet that it was the last one.
                missing.append(replace(landing, rows=landing.rows.slice(0, 0)))
            continue
        if landing.position != known[landing.app] + 1:
            message = f"{landing.app}: position {landing.position} after {known[landing.app]}"
            raise ValueError(message)
        known[landing.app] = landing.position
        missing.append(landing)
    return missing


def _commit(handle: DeltaTable, place: Place, table: str, landings: Sequence[Landing]) -> None:
    if not all(landing.rows.schema.equals(TABLES[table]) for landing in landings):
        message = f"{table}: rows of another schema than the table's"
        raise ValueError(message)
    last: dict[str, int] = {}
    for landing in landings:
        version = handle.transaction_version(landing.app)
        last[landing.app] = max(landing.position, -1 if version is None else version)
        if landing.final:
            last[landing.app + _FINAL] = landing.position
    rows = pa.concat_tables([landing.rows for landing in landings])
    identity = json.dumps(sorted((landing.app, landing.position) for landing in landings))
    files = [write_file(place.objects, table, rows, identity)] if rows.num_rows else []
    append(handle, [file.to_action() for file in files], last)


def _lock(root: Path) -> int:
    """Take the lake's lock; the kernel releases it whichever way the process ends."""
    descriptor = os.open(root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        message = f"{root}: another reelpage process is indexing into it; wait or stop it"
        raise SetupError("lake_locked", message) from error
    return descriptor

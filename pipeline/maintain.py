"""Maintain: small files made into larger ones, and files that no commit names removed."""

import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from pipeline.delta import CONFIGURATION, check_version, is_written, open_table, reason
from pipeline.place import Place
from pipeline.store import sweep
from schemas.errors import SetupError, TransientError
from schemas.tables import TABLES

_ATTEMPTS: Final = 8
_TARGET: Final = 128 << 20  # bytes of a compacted file
_STATISTICS: Final = "delta.dataSkippingNumIndexedCols"

T = TypeVar("T")


def compact(place: Place) -> dict[str, tuple[int, int]]:
    """Rewrite small files to larger ones. No row changes; safe beside writers.

    The old files stay for those who read them, until `vacuum`.

    Returns:
        For each table that changed, files before and after.

    Raises:
        SetupError: `lake_missing`, `lake_newer` or `lake_corrupt`.
        TransientError: `store_failed`, or `commit_conflict` when writers won every attempt.
    """
    check_version(place)
    changed = {}
    for table in TABLES:
        if is_written(place, table):
            before, after = attempt(place, table, _compact)
            if before != after:
                changed[table] = (before, after)
    return changed


def vacuum(place: Place, hours: int) -> dict[str, int]:
    """Remove data files that no commit names, or that only old versions name.

    Args:
        place: of the lake.
        hours: only files that are older; a file is written before the commit that names it, and
            whoever reads an old version needs its files.

    Returns:
        Files removed, by table or other folder.

    Raises:
        SetupError: `usage` for less than an hour, `lake_missing`, `lake_newer`, `lake_corrupt`.
        TransientError: `store_failed` or `commit_conflict`.
    """
    if hours < 1:
        message = f"{hours} hours: files younger than an hour may belong to a commit under way"
        raise SetupError("usage", message)
    check_version(place)
    removed: Counter[str] = Counter()
    for table in TABLES:
        if is_written(place, table):
            removed[table] = attempt(place, table, lambda handle: _vacuum(handle, hours))
    removed.update(name.partition("/")[0] for name in sweep_folder(place, hours))
    return dict(removed)


def sweep_folder(place: Place, hours: int) -> list[str]:
    """Remove what killed writers left half written, which only folders have; returns its names."""
    return sweep(Path(place.uri), hours * 3600) if place.is_folder else []


def attempt(place: Place, table: str, action: Callable[[DeltaTable], T]) -> T:
    """Do something to a table, through a new handle each time, until no other writer is faster.

    Raises:
        SetupError: `lake_corrupt`.
        TransientError: `store_failed` or `commit_conflict`.
    """
    last: Exception | None = None
    for number in range(_ATTEMPTS):
        if number:
            time.sleep(random.uniform(0, 0.05 * 2**number))
        try:
            return action(_open(place, table))
        except (DeltaError, OSError) as error:
            last = error
    assert last is not None
    message = f"{place.table(table)}: {_ATTEMPTS} attempts failed, the last with: {reason(last)}"
    raise TransientError("commit_conflict", message) from last


def _open(place: Place, table: str) -> DeltaTable:
    """A handle of a table that keeps no values of its rows in its log."""
    handle = open_table(place, table)
    wanted = CONFIGURATION[_STATISTICS]
    if handle.metadata().configuration.get(_STATISTICS) != wanted:
        handle.alter.set_table_properties({_STATISTICS: wanted})
    return handle


def _compact(handle: DeltaTable) -> tuple[int, int]:
    before = len(handle.file_uris())
    found = handle.optimize.compact(target_size=_TARGET)
    return before, before - found["numFilesRemoved"] + found["numFilesAdded"]


def _vacuum(handle: DeltaTable, hours: int) -> int:
    return len(handle.vacuum(hours, dry_run=False, enforce_retention_duration=False, full=True))

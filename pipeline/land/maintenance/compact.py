"""Maintain: small files made into larger ones, and what no commit names removed."""

from collections import Counter
from pathlib import Path
from typing import Final

from deltalake import DeltaTable

from pipeline.land.maintenance.rewrite import attempt, merge
from pipeline.land.place import Place
from pipeline.land.positions import positions
from pipeline.land.protocol import RECORD, RECORDS
from pipeline.land.records import batch_at
from pipeline.land.store import is_half_written, sweep
from pipeline.land.tables import check_version, is_written
from schemas.errors import SetupError
from schemas.tables import LAKE_VERSION, TABLES

_TARGET: Final = 64 << 20  # bytes of a compacted file


def compact(place: Place) -> dict[str, tuple[int, int]]:
    """Rewrite small files to larger ones. No row changes; safe beside writers.

    The old files stay for those who read them, until `vacuum`.

    Returns:
        For each table that changed, files before and after.

    Raises:
        SetupError: `lake_missing`, `lake_newer` or `lake_corrupt`.
        TransientError: `store_failed`, or `commit_conflict` when others won every attempt.
    """
    check_version(place)
    changed = {}
    for table in TABLES:
        if is_written(place, table):
            before, after = merge(place, table, _TARGET)
            if before != after:
                changed[table] = (before, after)
    return changed


def vacuum(place: Place, hours: int) -> dict[str, int]:
    """Remove data files that no commit names, or that only old versions name.

    Also records of batches that were not decided and never will be, as a killed worker leaves them.

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
    version = check_version(place)
    removed: Counter[str] = Counter()
    for table in TABLES:
        if is_written(place, table):
            removed[table] = attempt(place, table, lambda handle: _vacuum(handle, hours))
    names = sweep_folder(place, hours)
    if version == LAKE_VERSION:  # an older one has other records
        names += _sweep_records(place)
    removed.update(name.partition("/")[0] for name in names)
    return dict(removed)


def sweep_folder(place: Place, hours: int) -> list[str]:
    """Remove what killed writers left half written, which only folders have; returns its names."""
    return sweep(Path(place.uri), hours * 3600) if place.is_folder else []


def _sweep_records(place: Place) -> list[str]:
    records = [name for name in place.objects.names(RECORDS) if not is_half_written(name)]
    useless = [name for name in records if _is_useless(place, name)]
    for name in useless:
        place.objects.delete(name)
    return useless


def _is_useless(place: Place, name: str) -> bool:
    """Whether a record is not the last decision, and continues what others have gone on from."""
    data = place.objects.get(name)
    if data is None:
        return False
    batch = batch_at(name, data)
    now = positions(place, (batch.app, batch.app + RECORD))  # behind the record: they only grow
    return batch.number != now[batch.app + RECORD] and batch.before != now[batch.app]


def _vacuum(handle: DeltaTable, hours: int) -> int:
    return len(handle.vacuum(hours, dry_run=False, enforce_retention_duration=False, full=True))

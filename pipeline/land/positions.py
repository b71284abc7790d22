"""Positions: how far the partitions of a topic have landed, now and some time ago."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from deltalake.exceptions import DeltaError

from pipeline.land.place import Place
from pipeline.land.protocol import (
    FOLLOWERS,
    LEDGER,
    RECORD,
    Batch,
    Marker,
    advanced,
    record_name,
)
from pipeline.land.records import batch_at, markers_of
from pipeline.land.tables import is_written, open_table, versions

Positions = dict[str, int | None]


@dataclass(frozen=True)
class Progress:
    """What has been decided about some application ids.

    Attributes:
        now: their positions.
        before: those of some time ago.
        seconds: how long ago that was.
    """

    now: Positions
    before: Positions
    seconds: float


def positions(place: Place, apps: Sequence[str]) -> Positions:
    """Positions by application id; None for those that never landed.

    Raises:
        SetupError: `lake_corrupt`.
        TransientError: `store_failed`.
    """
    if not is_written(place, LEDGER):
        return dict.fromkeys(apps)
    return versions(place, LEDGER, open_table(place, LEDGER), apps)


def progress(place: Place, apps: Sequence[str], since_s: float) -> Progress:
    """Positions now and `since_s` seconds ago, or at the ledger's beginning if that was later.

    Raises:
        SetupError: `lake_corrupt`.
        TransientError: `store_failed`.
    """
    none: Positions = dict.fromkeys(apps)
    if not is_written(place, LEDGER):
        return Progress(none, none, since_s)
    handle = open_table(place, LEDGER)
    now, moment = versions(place, LEDGER, handle, apps), datetime.now(UTC)
    made = datetime.fromtimestamp((handle.metadata().created_time or 0) / 1000, UTC)
    if moment - made <= timedelta(seconds=since_s):
        return Progress(now, none, max((moment - made).total_seconds(), 1.0))
    try:
        handle.load_as_version(moment - timedelta(seconds=since_s))
    except (DeltaError, OSError, ValueError):
        return Progress(now, now, since_s)  # that part of the log was cleaned away
    return Progress(now, versions(place, LEDGER, handle, apps), since_s)


def is_rolled_forward(place: Place, app: str) -> bool:
    """Whether all that was decided for an application id has landed; raises as `unsettled`."""
    return unsettled(place, app) is None


def unsettled(place: Place, app: str) -> Batch | None:
    """The batch that was decided last for an application id, if not all of it has landed.

    A worker that was killed in between leaves this to the next one.

    Raises:
        SetupError: `lake_corrupt`.
        TransientError: `store_failed`.
    """
    number = positions(place, [app + RECORD])[app + RECORD]
    if number is None:
        return None
    name = record_name(app, number)
    data = place.objects.get(name)
    if data is None:
        return None  # gone on since
    batch = batch_at(name, data)
    tables = [table for table in FOLLOWERS if table in batch.rows]
    has_rows = all(_has(place, table, app, batch.last) for table in tables)
    return None if has_rows and all(_says(place, one) for one in batch.markers) else batch


def _has(place: Place, table: str, app: str, position: int) -> bool:
    if not is_written(place, table):
        return False
    found = versions(place, table, open_table(place, table), [app])[app]
    return found is not None and found >= position


def _says(place: Place, marker: Marker) -> bool:
    """Whether the object of a marker says at least as much."""
    data = place.objects.get(marker.name)
    held = {} if data is None else markers_of(marker.name, data)
    return advanced(held, [marker]) == held

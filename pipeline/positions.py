"""Positions: how far the partitions of a topic have landed, now and some time ago."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from pipeline.delta import is_written, open_table
from pipeline.place import Place
from pipeline.protocol import LEDGER

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
    return _of(open_table(place, LEDGER), apps)


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
    now, moment = _of(handle, apps), datetime.now(UTC)
    made = datetime.fromtimestamp((handle.metadata().created_time or 0) / 1000, UTC)
    if moment - made <= timedelta(seconds=since_s):
        return Progress(now, none, max((moment - made).total_seconds(), 1.0))
    try:
        handle.load_as_version(moment - timedelta(seconds=since_s))
    except (DeltaError, OSError, ValueError):
        return Progress(now, now, since_s)  # that part of the log was cleaned away
    return Progress(now, _of(handle, apps), since_s)


def _of(handle: DeltaTable, apps: Sequence[str]) -> Positions:
    return {app: handle.transaction_version(app) for app in apps}

"""Rewrite: data files of a table replaced by others, beside writers and other rewriters.

Not by deltalake's own `optimize` and `delete`: what `optimize` removes, a stale `delete` does not
notice, and `delete` stores strings as views, which Arrow's filters cannot compare (1.6.6). Here
every rewrite moves the application id `care`, so that of two through handles of the same version
the second is refused; and files are written as everywhere else, without values in the log.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import DeltaError
from deltalake.transaction import RemoveAction

from pipeline.land.parquet import DataFile, write_file
from pipeline.land.place import Place
from pipeline.land.tables import open_table, reason
from schemas.errors import TransientError

_ATTEMPTS: Final = 8
_APP: Final = "care"

T = TypeVar("T")


@dataclass(frozen=True)
class Listed:
    """A data file of the current version: its name below the table's folder, and its bytes."""

    path: str
    size: int


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
            return action(open_table(place, table))
        except (DeltaError, OSError) as error:
            last = error
    assert last is not None
    message = f"{place.table(table)}: {_ATTEMPTS} attempts failed, the last with: {reason(last)}"
    raise TransientError("commit_conflict", message) from last


def merge(place: Place, table: str, target: int) -> tuple[int, int]:
    """Make larger files of small ones; no row changes.

    Args:
        place: of the lake.
        table: its name.
        target: bytes of a file; those of less than half of it are small.

    Returns:
        How many files the table had, and has.
    """

    def action(handle: DeltaTable) -> tuple[int, int]:
        files = _files(handle)
        count = len(files)
        for bin_ in _bins([file for file in files if file.size < target // 2], target):
            rows = pa.concat_tables(
                [_read(place, table, file.path) for file in bin_], promote_options="default"
            )
            paths = [file.path for file in bin_]
            new = write_file(place.objects, table, rows, f"{_APP} {paths}")
            replace_files(handle, paths, [new], same_rows=True)
            count -= len(bin_) - 1
        return len(files), count

    return attempt(place, table, action)


def erase(place: Place, table: str, column: str, value: str) -> None:
    """Rewrite the files that have rows with a value, without them. The old files stay for now."""

    def action(handle: DeltaTable) -> None:
        old, new = [], []
        for fragment in handle.to_pyarrow_dataset().get_fragments():
            if not fragment.count_rows(filter=ds.field(column) == value):
                continue
            rows = _read(place, table, fragment.path)
            kept = rows.filter(pc.invert(pc.fill_null(pc.equal(rows.column(column), value), False)))
            old.append(fragment.path)
            if kept.num_rows:
                new.append(write_file(place.objects, table, kept, f"{_APP} {fragment.path}"))
        if old:
            replace_files(handle, old, new, same_rows=False)

    attempt(place, table, action)


def _files(handle: DeltaTable) -> list[Listed]:
    """Data files, the oldest first."""
    listed = pa.table(handle.get_add_actions(flatten=True)).to_pylist()
    listed.sort(key=lambda row: (row["modification_time"], row["path"]))
    return [Listed(row["path"], row["size_bytes"]) for row in listed]


def _bins(files: Sequence[Listed], target: int) -> list[list[Listed]]:
    """Runs of files that come to a target together; a file alone is left out."""
    bins: list[list[Listed]] = [[]]
    for file in files:
        if sum(other.size for other in bins[-1]) + file.size > target:
            bins.append([])
        bins[-1].append(file)
    return [files for files in bins if len(files) > 1]


def _read(place: Place, table: str, path: str) -> pa.Table:
    data = place.objects.get(f"{table}/{path}")
    if data is None:
        message = f"{place.table(table)}/{path} is gone"
        raise FileNotFoundError(message)  # removed meanwhile, or missing: the next attempt tells
    rows = pq.read_table(pa.BufferReader(data))
    plain = [
        field.with_type(pa.string()) if field.type == pa.string_view() else field
        for field in rows.schema
    ]
    return rows.cast(pa.schema(plain))


def replace_files(
    handle: DeltaTable, old: Sequence[str], new: Sequence[DataFile], *, same_rows: bool
) -> None:
    """Remove and add files in one commit, if no other rewrite came between.

    Raises:
        DeltaError, OSError: one has, or the store does not answer; begin with a new handle.
    """
    now = time.time_ns() // 1_000_000
    removed = [RemoveAction(path, not same_rows, now) for path in old]
    added = [file.to_action() for file in new]
    for action in added:
        action.data_change = not same_rows  # else each append under way would be refused
    turn = Transaction(_APP, (handle.transaction_version(_APP) or 0) + 1)
    handle.create_write_transaction(
        [*removed, *added],
        "append",
        handle.schema(),
        commit_properties=CommitProperties(app_transactions=[turn]),
    )
    handle.update_incremental()

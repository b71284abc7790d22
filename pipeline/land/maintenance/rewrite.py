"""Rewrite: data files of a table replaced by others, beside writers and other rewriters.

Not by deltalake's own `optimize` and `delete`: what `optimize` removes, a stale `delete` does not
notice, and `delete` stores strings as views, which Arrow's filters cannot compare (1.6.6). Here
every rewrite moves the application id `care`, so that of two through handles of the same version
the second is refused; and of values the log has but the first and last id of each file.
"""

import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import DeltaError
from deltalake.transaction import RemoveAction

from pipeline.land.files import Files, confine, scan
from pipeline.land.parquet import GROUP, DataFile, write_sorted
from pipeline.land.place import Place
from pipeline.land.tables import open_table, reason
from schemas.errors import TransientError
from schemas.tables import KEYS

_ATTEMPTS: Final = 8
_APP: Final = "care"
_MEMORY: Final = "1GB"

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
    """Make larger files of small ones, sorted by the table's key; no row changes.

    Args:
        place: of the lake.
        table: its name.
        target: bytes of a file; those of less than half of it are small.

    Returns:
        How many files the table had, and has.
    """

    def action(handle: DeltaTable) -> tuple[int, int]:
        files = _files(handle)
        small = [file.path for file in files if file.size < target // 2]
        if len(small) < 2:
            return len(files), len(files)
        with _sorted(place, table, handle, small, target) as rows:
            identity = f"{_APP} {small}"
            new = list(write_sorted(place.objects, table, rows, identity, target))
        replace_files(handle, small, new, same_rows=True)
        return len(files), len(files) - len(small) + len(new)

    return attempt(place, table, action)


@contextmanager
def _sorted(
    place: Place, table: str, handle: DeltaTable, paths: Sequence[str], most: int
) -> Iterator[Iterator[pa.Table]]:
    """The rows of some files by the table's key; what does not fit in memory is on the disk.

    They come in pieces of `GROUP` rows, and of so many bytes, at the most.

    Raises:
        OSError: a file is gone, or the store does not answer; the next attempt tells.
    """
    schema, keys = pa.schema(handle.schema().to_arrow()), ", ".join(KEYS[table])
    with tempfile.TemporaryDirectory(prefix="reelpage-") as folder, duckdb.connect() as connection:
        connection.execute(f"set memory_limit = '{_MEMORY}'; set timezone = 'UTC'")
        files = Files(place, {table: handle})
        connection.register_filesystem(files)
        confine(connection, files, Path(folder))
        try:
            found = connection.sql(f"from {scan(connection, table, schema, paths)} order by {keys}")
            batches = found.to_arrow_reader(GROUP)
            pieces = (piece for batch in batches for piece in _cut(batch, most))
            yield (pa.Table.from_batches([piece]).cast(schema) for piece in pieces)
        except (duckdb.Error, pa.ArrowException) as error:
            raise OSError(str(files.trouble or error)) from error


def _cut(batch: pa.RecordBatch, most: int) -> Iterator[pa.RecordBatch]:
    """A batch in pieces of about so many bytes at the most: rows of pages may be wide."""
    rows = max(1, batch.num_rows * most // max(batch.nbytes, 1))
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def erase(place: Place, table: str, column: str, value: str) -> None:
    """Rewrite the files that have rows with a value, without them. The old files stay for now."""

    def action(handle: DeltaTable) -> None:
        old: list[str] = []
        new: list[DataFile] = []
        for fragment in handle.to_pyarrow_dataset().get_fragments():
            if not fragment.count_rows(filter=ds.field(column) == value):
                continue
            rows = _read(place, table, fragment.path)
            kept = rows.filter(pc.invert(pc.fill_null(pc.equal(rows.column(column), value), False)))
            old.append(fragment.path)
            kept = kept.sort_by([(key, "ascending") for key in KEYS[table]])
            groups = (kept.slice(at, GROUP) for at in range(0, kept.num_rows, GROUP))
            identity = f"{_APP} {fragment.path}"
            new += write_sorted(place.objects, table, groups, identity, sys.maxsize)
        if old:
            replace_files(handle, old, new, same_rows=False)

    attempt(place, table, action)


def _files(handle: DeltaTable) -> list[Listed]:
    """Data files, the oldest first."""
    listed = pa.table(handle.get_add_actions(flatten=True)).to_pylist()
    listed.sort(key=lambda row: (row["modification_time"], row["path"]))
    return [Listed(row["path"], row["size_bytes"]) for row in listed]


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

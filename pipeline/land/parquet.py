"""Parquet: data files of a Delta table, written by pyarrow."""

import hashlib
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.transaction import AddAction

from pipeline.land.place import Objects

GROUP: Final = 1 << 16
"""Rows of a row group of sorted files: what a look-up of a medium reads at the least."""
# Without Arrow's own schema in the file every reader sees the plain Parquet types.
_OPTIONS: Final[dict[str, Any]] = {"compression": "zstd", "store_schema": False}


@dataclass(frozen=True)
class Span:
    """The smallest and largest value of a column in a file; it has no nulls."""

    column: str
    least: str
    most: str


@dataclass(frozen=True)
class DataFile:
    """A file that is stored and waits for the commit that adds it.

    Attributes:
        path: below the table's folder.
        size: bytes.
        rows: how many.
        span: of a sorted file, of what it is sorted by.
    """

    path: str
    size: int
    rows: int
    span: Span | None = None

    def to_action(self) -> AddAction:
        """What a commit says of it."""
        stats: dict[str, Any] = {"numRecords": self.rows}
        if self.span is not None:  # readers skip files by it; see `tables` for which columns
            column = self.span.column
            stats |= {
                "minValues": {column: self.span.least},
                "maxValues": {column: self.span.most},
                "nullCount": {column: 0},
            }
        return AddAction(
            path=self.path,
            size=self.size,
            partition_values={},
            modification_time=time.time_ns() // 1_000_000,
            data_change=True,
            stats=json.dumps(stats),
        )


def write_file(objects: Objects, table: str, rows: pa.Table, identity: str) -> DataFile:
    """Write rows as one file of a Delta table.

    The name is a digest of identity and bytes: the same rows at the same positions have the same
    name, and other bytes never replace a file that some commit refers to.

    Args:
        objects: of the lake.
        table: its name.
        rows: at least one.
        identity: tells apart equal rows that land twice by right: a table holds a path only once.

    Raises:
        SetupError: `disk_full` or `lake_not_writable`.
        TransientError: the store does not answer.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, **_OPTIONS)
    return _store(objects, table, sink, rows.num_rows, identity)


def write_sorted(
    objects: Objects, table: str, rows: Iterable[pa.Table], identity: str, target: int
) -> Iterator[DataFile]:
    """Write rows that are sorted by the table's first column as files of about a size.

    Args:
        objects: of the lake.
        table: its name.
        rows: in pieces of about `GROUP` rows, each a row group.
        identity: as of `write_file`.
        target: bytes; a file ends with the row group that reaches them.

    Raises:
        SetupError: `disk_full` or `lake_not_writable`.
        TransientError: the store does not answer.
    """
    rest = iter(rows)
    for first in rest:
        sink, keys, count = pa.BufferOutputStream(), first.column(0), 0
        with pq.ParquetWriter(sink, first.schema, **_OPTIONS) as writer:
            group: pa.Table | None = first
            while group is not None:
                writer.write_table(group)
                keys, count = group.column(0), count + group.num_rows
                group = next(rest, None) if sink.tell() < target else None
        least, most = first.column(0)[0].as_py(), keys[-1].as_py()
        span = Span(first.column_names[0], least, most) if most is not None else None
        yield _store(objects, table, sink, count, identity, span)


def _store(
    objects: Objects,
    table: str,
    sink: pa.BufferOutputStream,
    rows: int,
    identity: str,
    span: Span | None = None,
) -> DataFile:
    data = sink.getvalue().to_pybytes()
    digest = hashlib.sha256(identity.encode() + b"\0" + data).hexdigest()[:32]
    path = f"part-{digest}.parquet"
    objects.put(f"{table}/{path}", data)
    return DataFile(path, len(data), rows, span)

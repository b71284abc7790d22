"""Parquet: one data file of a Delta table, written by pyarrow."""

import hashlib
import json
import time
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.transaction import AddAction

from pipeline.land.place import Objects


@dataclass(frozen=True)
class DataFile:
    """A file that is stored and waits for the commit that adds it.

    Attributes:
        path: below the table's folder.
        size: bytes.
        rows: how many.
    """

    path: str
    size: int
    rows: int

    def to_action(self) -> AddAction:
        """What a commit says of it."""
        return AddAction(
            path=self.path,
            size=self.size,
            partition_values={},
            modification_time=time.time_ns() // 1_000_000,
            data_change=True,
            # No smallest and largest values: where only some columns have them, deltalake's Arrow
            # dataset skips the file for every filter on the others. Readers prune by Parquet's own.
            stats=json.dumps({"numRecords": self.rows}),
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
    # Without Arrow's own schema in the file every reader sees the plain Parquet types.
    pq.write_table(rows, sink, compression="zstd", store_schema=False)
    data = sink.getvalue().to_pybytes()
    digest = hashlib.sha256(identity.encode() + b"\0" + data).hexdigest()[:32]
    path = f"part-{digest}.parquet"
    objects.put(f"{table}/{path}", data)
    return DataFile(path, len(data), rows.num_rows)

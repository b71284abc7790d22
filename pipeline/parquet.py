"""Parquet: one data file of a Delta table, written by pyarrow."""

import hashlib
import json
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.transaction import AddAction

from pipeline.store import write_whole


def write_file(folder: Path, rows: pa.Table, identity: str) -> AddAction:
    """Write rows as one file of a Delta table and return the action that adds it.

    The name is a digest of identity and bytes: the same rows at the same positions have the same
    name, and other bytes never replace a file that some commit refers to.

    Args:
        folder: of the table.
        rows: at least one.
        identity: tells apart equal rows that land twice by right: a table holds a path only once.

    Raises:
        OSError: the disk is full or read-only.
    """
    sink = pa.BufferOutputStream()
    # Without Arrow's own schema in the file every reader sees the plain Parquet types.
    pq.write_table(rows, sink, compression="zstd", store_schema=False)
    data = sink.getvalue().to_pybytes()
    digest = hashlib.sha256(identity.encode() + b"\0" + data).hexdigest()[:32]
    path = folder / f"part-{digest}.parquet"
    write_whole(path, data)
    return AddAction(
        path=path.name,
        size=len(data),
        partition_values={},
        modification_time=time.time_ns() // 1_000_000,
        data_change=True,
        # No smallest and largest values: where only some columns have them, deltalake's Arrow
        # dataset skips the file for every filter on the others. Readers prune by Parquet's own.
        stats=json.dumps({"numRecords": rows.num_rows}),
    )

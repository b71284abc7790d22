"""What deltalake alone keeps of five tables: memory of this process, by commits to each.

The tables have one column and no rows of their own: every commit names a file that is never read.
"""

import json
import tempfile
from pathlib import Path

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.transaction import AddAction

from benchmarks.common import Report, parser, show, status

_TABLES, _STEP = 5, 40


def commit(table: DeltaTable, number: int) -> None:
    """Append a file of one row to a table."""
    file = AddAction(
        path=f"{number}.parquet",
        size=1000,
        partition_values={},
        modification_time=1,
        data_change=True,
        stats=json.dumps({"numRecords": 1}),
    )
    table.update_incremental()
    table.create_write_transaction(
        actions=[file],
        mode="append",
        schema=table.schema(),
        commit_properties=CommitProperties(app_transactions=[Transaction("benchmark", number)]),
    )


def resident_mib() -> float:
    """Memory of this process that no file holds, MiB."""
    return round(status("self", "RssAnon")[0] / 1024, 1)


def measure(folder: Path, commits: int) -> list[Report]:
    """Memory at the start, and every so many commits."""
    tables = []
    for number in range(_TABLES):
        write_deltalake(str(folder / str(number)), pa.table({"id": ["a"]}))
        tables.append(DeltaTable(str(folder / str(number))))
    rows: list[Report] = [{"commits": 0, "mib": resident_mib()}]
    for number in range(1, commits + 1):
        for table in tables:
            commit(table, number)
        if number % _STEP == 0:
            rows.append({"commits": number, "mib": resident_mib()})
    return rows


def main() -> None:
    """Run the benchmark."""
    options = parser(__doc__)
    options.add_argument("--commits", type=int, default=200, help="to each table")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), chosen.commits)
    show("table_memory", rows, as_json=chosen.json)


if __name__ == "__main__":
    main()

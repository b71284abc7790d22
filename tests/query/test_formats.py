"""Rows as a machine's format, written while they come."""

import csv
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.cli.render import to_json, to_rich, write

ROWS = [{"n": number, "text": f'a "quoted"\nline {number}', "more": [1]} for number in range(5)]
SCHEMA = pa.schema([("n", pa.int64()), ("text", pa.string()), ("more", pa.list_(pa.int64()))])


def reader(count: int) -> pa.RecordBatchReader:
    table = pa.Table.from_pylist(ROWS[:count], schema=SCHEMA)
    return pa.RecordBatchReader.from_batches(SCHEMA, table.to_batches(max_chunksize=2))


@pytest.mark.parametrize("count", [0, 1, 5])
def test_every_format_has_all_rows(count: int) -> None:
    as_json, as_csv, parquet = io.BytesIO(), io.BytesIO(), io.BytesIO()
    write(reader(count), "json", as_json)
    assert as_json.getvalue().decode() == to_json(ROWS[:count]) + "\n"
    assert json.loads(as_json.getvalue()) == ROWS[:count]
    flat = [{"n": row["n"], "text": row["text"]} for row in ROWS[:count]]
    table = pa.Table.from_pylist(flat, schema=pa.schema(list(SCHEMA)[:2]))
    write(table.to_reader(), "csv", as_csv)
    lines = list(csv.DictReader(io.StringIO(as_csv.getvalue().decode(), newline="")))
    assert [line["text"] for line in lines] == [row["text"] for row in flat]
    write(reader(count), "parquet", parquet)
    assert pq.read_table(parquet).to_pylist() == ROWS[:count]
    assert to_rich(reader(count)).row_count == count


def test_a_table_for_people_shows_the_first_and_counts_all() -> None:
    rows = pa.table({"n": list(range(1500))})
    shown = to_rich(pa.RecordBatchReader.from_batches(rows.schema, rows.to_batches(400)))
    assert shown.row_count == 1000
    assert shown.caption == "first 1,000 of 1,500 rows"

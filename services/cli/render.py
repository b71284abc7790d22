"""Render: rows to a terminal, CSV, JSON or Parquet, as they come."""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, BinaryIO, Literal

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from rich.table import Table
from rich.text import Text

from pipeline.query.find import Hit

Format = Literal["table", "csv", "json", "parquet"]
_MOST_ROWS = 1000


def write(rows: pa.RecordBatchReader, form: Format, sink: BinaryIO) -> None:
    """Write rows in a machine's format: "csv", "json" (one array of objects) or "parquet"."""
    if form == "json":
        for text in _array(rows):
            sink.write(text.encode())
    elif form == "csv":
        with pyarrow.csv.CSVWriter(sink, rows.schema) as csv:
            for batch in rows:
                csv.write_batch(batch)
    else:
        options = {"compression": "zstd", "store_schema": False}
        with pyarrow.parquet.ParquetWriter(sink, rows.schema, **options) as parquet:
            for batch in rows:
                parquet.write_batch(batch)


def _array(rows: pa.RecordBatchReader) -> Iterator[str]:
    """What `to_json` makes of all rows in a list."""
    before = "[\n"
    for batch in rows:
        if batch.num_rows:
            yield before + to_json(batch.to_pylist())[len("[\n") : -len("\n]")]
            before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def to_json(value: Any) -> str:  # noqa: ANN401 - whatever JSON can hold
    """JSON with times as ISO 8601."""
    return json.dumps(value, ensure_ascii=False, indent=1, default=str)


def to_rich(rows: pa.RecordBatchReader) -> Table:
    """A table for people; control characters in cells are shown, not obeyed."""
    shown = Table()
    for name, kind in zip(rows.schema.names, rows.schema.types, strict=True):
        number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
        shown.add_column(name, justify="right" if number else "left", overflow="fold")
    count = 0
    for batch in rows:
        for row in batch.slice(0, max(_MOST_ROWS - count, 0)).to_pylist():
            shown.add_row(*(Text(_cell(value)) for value in row.values()))
        count += batch.num_rows
    first = f"first {_MOST_ROWS:,} of " if count > _MOST_ROWS else ""
    shown.caption = f"{first}{count:,} rows"
    return shown


def hit_line(hit: Hit) -> Text:
    """A line about a text that was found, with the hit set off."""
    spot = f"page {hit.page_no}" if hit.t_us is None else f"{timedelta(seconds=hit.t_us // 10**6)}"
    text, start, end = hit.snippet.text, hit.snippet.start, hit.snippet.end
    before, found, behind = (_line(one) for one in (text[:start], text[start:end], text[end:]))
    said = Text.assemble(before, (found, "bold red"), behind)
    return Text("  ").join([Text(_cell(hit.name or hit.uri)), Text(spot), Text(hit.source), said])


def line_of_text(row: Mapping[str, Any]) -> Text:
    """A line that was read, with the page it stands on or the seconds of which it is shown."""
    spot = f"page {row['page_no']}"
    if row["page_no"] is None:
        spot = f"{row['start_s']:.2f}-{row['end_s']:.2f} s"
    return Text(f"{spot:>16}  {row['source']:10} {_line(row['text'])}")


def _line(text: str) -> str:
    return " ".join(_cell(text).split("\n"))


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}" if abs(value) < 1e6 else f"{value:.1f}"
    text = str(value)
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)

"""Render: Arrow tables to a terminal, CSV, JSON or Parquet."""

import json
from collections.abc import Mapping
from datetime import timedelta
from io import BytesIO
from typing import Any, Literal

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from rich.table import Table
from rich.text import Text

from pipeline.query.find import Hit

Format = Literal["table", "csv", "json", "parquet"]
_MOST_ROWS = 1000


def to_bytes(table: pa.Table, form: Format) -> bytes:
    """A table in a machine's format: "csv", "json" (one array of objects) or "parquet"."""
    if form == "json":
        return (to_json(table.to_pylist()) + "\n").encode()
    sink = BytesIO()
    if form == "csv":
        pyarrow.csv.write_csv(table, sink)
    else:
        pyarrow.parquet.write_table(table, sink, compression="zstd", store_schema=False)
    return sink.getvalue()


def to_json(value: Any) -> str:  # noqa: ANN401 - whatever JSON can hold
    """JSON with times as ISO 8601."""
    return json.dumps(value, ensure_ascii=False, indent=1, default=str)


def to_rich(table: pa.Table) -> Table:
    """A table for people; control characters in cells are shown, not obeyed."""
    shown = Table(caption=f"{table.num_rows:,} rows")
    for name in table.column_names:
        kind = table.schema.field(name).type
        number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
        shown.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in table.slice(0, _MOST_ROWS).to_pylist():
        shown.add_row(*(Text(_cell(value)) for value in row.values()))
    if table.num_rows > _MOST_ROWS:
        shown.caption = f"first {_MOST_ROWS:,} of {table.num_rows:,} rows"
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

"""Query: SQL over the tables of a lake, by DuckDB, offline and unable to touch anything else."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.dataset

from pipeline.land.place import Place
from pipeline.land.tables import check_version, is_written, open_table, store_error
from schemas.errors import SetupError
from schemas.tables import TABLES

_LINES_JOINED: Final = """
    create view lines_joined as
    with places as (
        select *, (x0 + x1) // 64 as across, (y0 + y1) // 64 as down from lines
        where unit = 'segment'),
    marked as (
        select *, start_us > lag(end_us, 1, -1) over same as begins from places
        window same as (
            partition by media_id, sampling, model_revision, source, text, across, down
            order by start_us)),
    numbered as (
        select *, sum(begins::int) over (
            partition by media_id, sampling, model_revision, source, text, across, down
            order by start_us) as stretch
        from marked)
    select media_id, sampling, any_value(uri) uri, source, min(start_us) start_us,
        max(end_us) end_us, arg_min(x0, start_us) x0, arg_min(y0, start_us) y0,
        arg_min(x1, start_us) x1, arg_min(y1, start_us) y1, text, max(confidence) confidence,
        any_value(script) script, any_value(model) model, model_revision
    from numbered
    group by media_id, sampling, model_revision, source, text, across, down, stretch
    """
"""Lines of videos, each once from when it appears to when it is gone: segments cut them."""


def open_dataset(place: Place, table: str) -> pyarrow.dataset.Dataset:
    """A table of the lake as an Arrow dataset; empty with the right schema if never written.

    Raises:
        SetupError: `lake_missing`, `lake_newer` or `lake_corrupt`.
    """
    check_version(place)
    if not is_written(place, table):
        return pyarrow.dataset.dataset(TABLES[table].empty_table())
    found = open_table(place, table).to_pyarrow_dataset()
    new = [column for column in TABLES[table] if column.name not in found.schema.names]
    # Columns that an older reelpage did not know read as null.
    return found.replace_schema(pa.schema([*found.schema, *new])) if new else found


def connect(place: Place) -> duckdb.DuckDBPyConnection:
    """A connection that sees the lake's tables by name and nothing else of the machine.

    The tables are registered as Arrow datasets: globbing the folder would read rows that were
    never committed, and DuckDB's own Delta reader has to be downloaded.
    """
    connection = duckdb.connect()
    for table in TABLES:
        connection.register(table, open_dataset(place, table))
    connection.execute(_LINES_JOINED)
    connection.execute("set python_enable_replacements = false")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")
    return connection


def query(place: Place, sql: str, parameters: list[object] | None = None) -> pa.Table:
    """Run one SQL statement over the lake.

    Raises:
        SetupError: `bad_query`, with DuckDB's own words.
        TransientError: `store_failed`, if the store does not answer.
    """
    with connect(place) as connection:
        return select(connection, sql, parameters)


def select(
    lake: duckdb.DuckDBPyConnection, sql: str, parameters: list[object] | None = None
) -> pa.Table:
    """Run one SQL statement over a connected lake; raises what `query` raises."""
    with query_errors():
        result = lake.sql(sql, params=parameters)
        return result.to_arrow_table() if result is not None else pa.table({})


@contextmanager
def query_errors() -> Iterator[None]:
    """Say what DuckDB raises in our own errors: those of `query`."""
    try:
        yield
    except duckdb.Error as error:
        if known := store_error("the query failed", error):
            raise known from error
        reason = " ".join(str(error).split())
        message = f"the query failed: {reason}"
        raise SetupError("bad_query", message) from error

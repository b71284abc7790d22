"""Query: SQL over the tables of a lake, by DuckDB, offline and unable to touch anything else."""

import atexit
import re
import secrets
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import duckdb
import pyarrow as pa

from pipeline.land.files import Files, confine, scan
from pipeline.land.place import Place
from pipeline.land.tables import check_version, store_error
from schemas.errors import SetupError
from schemas.tables import TABLES

_AT_ONCE: Final = 16_384  # rows
_TRACE: Final = re.compile(r"(?s).*Traceback \(most recent call last\):\n(?:  .*?\n)+")
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


class Lake:
    """A lake's tables, each opened when a statement first names it, and then as it was then."""

    def __init__(self, place: Place) -> None:
        """Open no table yet.

        Raises:
            SetupError: `lake_missing`, `lake_newer` or `lake_corrupt`.
        """
        check_version(place)
        self._files = Files(place)
        self._connection = _connect(self._files)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    def connection(self) -> duckdb.DuckDBPyConnection:
        """DuckDB's own, with all tables opened; raises as `Files.sizes`."""
        for table in TABLES:
            self._files.sizes(table)
        # One that is open when the interpreter ends complains about the file system at length.
        atexit.register(_close, weakref.ref(self._connection))
        return self._connection

    def select(self, sql: str, parameters: Sequence[object] | None = None) -> pa.Table:
        """All rows of a statement; raises what `stream` raises."""
        return self.stream(sql, parameters).read_all()

    def stream(self, sql: str, parameters: Sequence[object] | None = None) -> pa.RecordBatchReader:
        """The rows of a statement as they come; none is kept.

        Raises:
            SetupError: `bad_query`, with DuckDB's own words, or that a table cannot be read.
            TransientError: `store_failed`, if the store does not answer.
        """
        self._files.trouble = None
        with self._errors():
            result = self._connection.sql(sql, params=parameters)
            none = pa.table({}).to_reader()
            reader = result.to_arrow_reader(_AT_ONCE) if result is not None else none
        return pa.RecordBatchReader.from_batches(reader.schema, self._batches(reader))

    def _batches(self, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        with self._errors():
            yield from reader

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Say what DuckDB raises in our own errors."""
        try:
            yield
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            said = duckdb.Error(_TRACE.sub("", str(error)))
            if known := self._files.trouble or store_error("the query failed", said):
                raise known from error
            message = f"the query failed: {' '.join(str(said).split())}"
            raise SetupError("bad_query", message) from error


def query(place: Place, sql: str, parameters: Sequence[object] | None = None) -> pa.Table:
    """Run one SQL statement over the lake; raises what `Lake` and `Lake.stream` raise."""
    with Lake(place) as lake:
        return lake.select(sql, parameters)


def _close(connection: weakref.ref[duckdb.DuckDBPyConnection]) -> None:
    if (still := connection()) is not None:
        still.close()


def _connect(files: Files) -> duckdb.DuckDBPyConnection:
    """A connection that sees the lake's tables by name and nothing else of the machine.

    DuckDB's own Delta reader has to be downloaded; its Parquet reader is several times as fast as
    the same files as an Arrow dataset. The columns are told it, so that it opens no file before it
    is asked, and those that an older reelpage did not know read as null.
    """
    connection = duckdb.connect()
    connection.register_filesystem(files)
    for table in TABLES:
        connection.execute(_view(connection, table))
    connection.execute(_LINES_JOINED)
    connection.execute("set python_enable_replacements = false")
    connection.execute("set parquet_metadata_cache = true")  # each file is opened twice
    # There is nothing of this name before DuckDB makes it.
    confine(connection, files, Path(tempfile.gettempdir()) / f"reelpage-{secrets.token_hex(8)}")
    return connection


def _view(connection: duckdb.DuckDBPyConnection, table: str) -> str:
    files = scan(connection, table, TABLES[table], ["*"])
    return f"create view {table} as select * from {files}"

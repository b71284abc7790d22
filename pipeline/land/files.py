"""Files: the committed data files of a lake, all that DuckDB's own Parquet reader may see.

DuckDB has no permission that lets a statement read a file and not write it: a `copy` may stand in
a `with` of what its parser calls a select, and would overwrite the rows. So what it is given is no
folder but this file system, which has no way to write, and nothing in it but what a table's
snapshot names.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import unquote

import duckdb
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.fs import DeltaStorageHandler
from fsspec import AbstractFileSystem

from pipeline.land.place import Place
from pipeline.land.tables import is_written, open_table
from schemas.errors import ReelpageError, SetupError
from schemas.tables import TABLES

SCHEME: Final = "lake://"
_NONE: Final = "none.parquet"
"""What a table without a file is read from: DuckDB wants one at least."""
_WRITTEN: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""When, for DuckDB's cache: another content has another name."""


class Files(AbstractFileSystem):  # type: ignore[misc]
    """`lake://TABLE/*` are the files of a table as it is when it is first asked for, to be read.

    DuckDB calls it from any of its threads.

    Attributes:
        trouble: what went wrong last; DuckDB passes on no more of it than its text.
    """

    protocol = "lake"
    cachable = False

    def __init__(self, place: Place, handles: Mapping[str, DeltaTable] | None = None) -> None:
        """Open nothing yet: until `ready` is set every table looks empty.

        Args:
            place: of the lake.
            handles: of tables that are open already, by name.
        """
        super().__init__()
        self.ready = False
        self.trouble: ReelpageError | None = None
        self._place = place
        self._stores: dict[str, pyarrow.fs.FileSystem] = {}
        self._sizes = {table: _sizes(handle) for table, handle in (handles or {}).items()}

    def glob(self, path: str, **_: object) -> list[str]:
        """Names of a table's files, for `*`, or of the one that is named."""
        table, wanted = _split(path)
        names = (self.ready and self.sizes(table)) or {_NONE: 0}
        if wanted == "*":
            return [f"{table}/{name}" for name in names]
        with self._told():
            return [f"{table}/{wanted}"] if wanted in names else _none(path)

    def info(self, path: str, **_: object) -> dict[str, Any]:
        """Size of a file."""
        table, name = _split(path)
        size = len(_no_rows(table)) if name == _NONE else self._size(table, name)
        return {"name": path, "size": size, "type": "file"}

    def modified(self, path: str) -> datetime:
        """No file changes."""
        return _WRITTEN

    def sizes(self, table: str) -> dict[str, int]:
        """Names and bytes of a table's files, in the version that was first seen.

        Raises:
            SetupError: `lake_corrupt` or `store_refused`.
            TransientError: `store_failed`.
        """
        if table not in self._sizes:
            with self._told():
                found = _listed(self._place, table)
            self._sizes.setdefault(table, found)
        return self._sizes[table]

    def _open(self, path: str, mode: str = "rb", **_: object) -> "_Shared":
        table, name = _split(path)
        with self._told():
            if mode != "rb":
                message = f"{path}: is of the lake, which a query only reads"
                raise SetupError("bad_query", message)
            if name == _NONE:
                return _Shared(pa.BufferReader(_no_rows(table)), self._told)
            self._size(table, name)  # others are refused
            return _Shared(self._file(table, name), self._told)

    def _file(self, table: str, name: str) -> pa.NativeFile:
        if self._place.is_folder:  # the log has its names as of a URL
            return pa.OSFile(f"{self._place.table(table)}/{unquote(name)}")
        return self._store(table).open_input_file(name)

    def _store(self, table: str) -> pyarrow.fs.FileSystem:
        """A table's folder in a bucket; one, for the connections that it keeps."""
        if table not in self._stores:
            address, options = self._place.table(table), self._place.options()
            store = DeltaStorageHandler(address, options, self.sizes(table))
            self._stores.setdefault(table, pyarrow.fs.PyFileSystem(store))
        return self._stores[table]

    def _size(self, table: str, name: str) -> int:
        if (size := self.sizes(table).get(name)) is None:
            _none(f"{SCHEME}{table}/{name}")
        return size

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Keep an error for whoever asked DuckDB, as one of ours.

        An object of a bucket is missed when it is read, and not when it is opened.
        """
        try:
            yield
        except ReelpageError as error:
            self.trouble = error
            raise
        except FileNotFoundError as error:
            words = " ".join(str(error).split())
            message = f"a data file is gone; see reelpage verify, or run the query again ({words})"
            self.trouble = SetupError("lake_corrupt", message)
            raise self.trouble from error


class _Shared:
    """An open file, for several threads.

    DuckDB reads it from many at once: each seeks, and reads as its next step. So a place in the
    file belongs to a thread; with one for all they would read each other's bytes.
    """

    def __init__(
        self, file: pa.NativeFile, told: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._file, self._told, self._mine = file, told, threading.local()
        self._lock = threading.Lock()  # a file in a bucket refuses to be read by two at once

    def seek(self, place: int) -> int:
        self._mine.place = place
        return place

    def tell(self) -> int:
        place: int = getattr(self._mine, "place", 0)
        return place

    def read(self, size: int) -> bytes:
        with self._told():
            with self._lock:
                data: bytes = self._file.read_at(size, self.tell())
            if len(data) < size:
                message = "a data file is shorter than the table says; see reelpage verify"
                raise SetupError("lake_corrupt", message)
        self._mine.place = self.tell() + len(data)
        return data

    def close(self) -> None:
        self._file.close()


def confine(connection: duckdb.DuckDBPyConnection, files: Files, scratch: Path) -> None:
    """Let a connection reach these files and nothing else of the machine, for good.

    Args:
        connection: that knows them already.
        files: opened from now on.
        scratch: a folder for what does not fit in memory. Statements may read and write in it; by
            itself it would be `.tmp` of the working directory.
    """
    connection.execute(f"set temp_directory = {sql_text(scratch)}")
    connection.execute(f"set allowed_directories = ['{SCHEME}']")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")
    files.ready = True


def scan(
    connection: duckdb.DuckDBPyConnection, table: str, schema: pa.Schema, wanted: Sequence[str]
) -> str:
    """What stands in SQL for some files of a table; DuckDB opens none before it reads.

    Args:
        connection: with the file system.
        table: its name.
        schema: columns; what files lack is null, what they have beside it is not read.
        wanted: names of files, or `*`.
    """
    empty = connection.from_arrow(schema.empty_table())
    columns = ", ".join(
        f"{sql_text(name)}: {{name: {sql_text(name)}, type: {sql_text(kind)}, default_value: null}}"
        for name, kind in zip(empty.columns, empty.types, strict=True)
    )
    names = ", ".join(sql_text(f"{SCHEME}{table}/{name}") for name in wanted)
    return f"read_parquet([{names}], schema = map {{{columns}}})"


def sql_text(value: object) -> str:
    """A string of SQL: names of columns and files may be anybody's."""
    quoted = str(value).replace("'", "''")
    return f"'{quoted}'"


def _listed(place: Place, table: str) -> dict[str, int]:
    is_there = table in TABLES and is_written(place, table)
    return _sizes(open_table(place, table)) if is_there else {}


def _sizes(handle: DeltaTable) -> dict[str, int]:
    """Names and bytes of the files of a version.

    Raises:
        SetupError: `lake_newer`, if its files alone do not say which rows it has.
    """
    if features := handle.protocol().reader_features:
        message = f"{handle.table_uri}: has {', '.join(features)}, which reelpage cannot read"
        raise SetupError("lake_newer", message)
    actions = pa.table(handle.get_add_actions())
    return dict(zip(actions["path"].to_pylist(), actions["size_bytes"].to_pylist(), strict=True))


def _none(path: str) -> NoReturn:
    message = f"{path}: there is no such file"
    raise SetupError("bad_query", message)


def _no_rows(table: str) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    pq.write_table(TABLES[table].empty_table(), sink, store_schema=False)
    return sink.getvalue()


def _split(path: str) -> tuple[str, str]:
    table, _, name = path.removeprefix(SCHEME).lstrip("/").partition("/")
    return table, name

"""Records: batches, markers and dead letters as the bytes of objects, and back.

The markers of a medium, or a letter, are one JSON document. A batch is `RPB1`, the length of a JSON
head as four bytes (big-endian), the head, and the rows of each table as Arrow IPC streams behind
one another.
"""

import json
from dataclasses import asdict
from typing import Any, Final

import pyarrow as pa

from pipeline.land.protocol import Batch, Letter, Marker, Markers, Range
from schemas.errors import SetupError

_MAGIC: Final = b"RPB1"
_HEAD: Final = len(_MAGIC) + 4


def to_bytes(value: Batch | Letter) -> bytes:
    """An object's bytes; those of a batch hold its rows, a letter's only its value.

    Raises:
        TypeError: facts or a letter's value are not of JSON's types; a bug of the caller.
    """
    return _from_batch(value) if isinstance(value, Batch) else _json(dict(value.value))


def markers_to_bytes(markers: Markers) -> bytes:
    """The object of markers that share a name; it holds no name."""
    value = {column: asdict(marker) for column, marker in markers.items()}
    for one in value.values():
        del one["name"], one["column"]
    return _json(value)


def from_bytes(name: str, data: bytes) -> Batch | dict[str, Marker]:
    """A batch, or markers by column.

    Args:
        name: of the object.
        data: what `to_bytes` or `markers_to_bytes` gave.

    Raises:
        SetupError: `lake_corrupt`, if it is no such object of this version.
    """
    try:
        return _to_batch(data) if data[:4] == _MAGIC else _to_markers(name, json.loads(data))
    except (ValueError, KeyError, TypeError, AttributeError, pa.ArrowException) as error:
        start = data[:16]
        message = f"{name}: begins with {start!r} and cannot be read ({error}); restore it"
        raise SetupError("lake_corrupt", message) from error


def markers_of(name: str, data: bytes) -> dict[str, Marker]:
    """Markers by column; see `from_bytes`."""
    found = from_bytes(name, data)
    if isinstance(found, Batch):
        message = f"{name}: holds a batch where markers are expected; restore it"
        raise SetupError("lake_corrupt", message)
    return found


def batch_at(name: str, data: bytes) -> Batch:
    """A batch; see `from_bytes`."""
    found = from_bytes(name, data)
    if not isinstance(found, Batch):
        message = f"{name}: holds no batch; restore it"
        raise SetupError("lake_corrupt", message)
    return found


def _from_batch(batch: Batch) -> bytes:
    streams = {table: rows_to_bytes(rows) for table, rows in batch.rows.items()}
    head = _json(
        {
            "app": batch.app,
            "before": batch.before,
            "last": batch.last,
            "number": batch.number,
            "last_key": batch.last_key,
            "markers": [asdict(marker) for marker in batch.markers],
            "ranges": [asdict(part) for part in batch.ranges],
            "letters": [asdict(letter) for letter in batch.letters],
            "rows": {table: len(stream) for table, stream in streams.items()},
        }
    )
    return b"".join([_MAGIC, len(head).to_bytes(4, "big"), head, *streams.values()])


def _to_batch(data: bytes) -> Batch:
    end = _HEAD + int.from_bytes(data[len(_MAGIC) : _HEAD], "big")
    head = json.loads(data[_HEAD:end])
    rows = {}
    for table, size in head.pop("rows").items():
        rows[table] = rows_from_bytes(data[end : end + size])
        end += size
    return Batch(
        rows=rows,
        markers=tuple(Marker(**marker) for marker in head.pop("markers")),
        ranges=tuple(Range(part["app"], tuple(part["markers"])) for part in head.pop("ranges")),
        letters=tuple(Letter(**letter) for letter in head.pop("letters")),
        **head,
    )


def _to_markers(name: str, value: dict[str, Any]) -> dict[str, Marker]:
    return {column: Marker(name, column, **one) for column, one in value.items()}


def rows_to_bytes(rows: pa.Table) -> bytes:
    """Rows as an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, rows.schema, options=options) as writer:
        writer.write_table(rows)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def rows_from_bytes(data: bytes) -> pa.Table:
    """What `rows_to_bytes` was given.

    Raises:
        ArrowException: they are none.
    """
    with pa.ipc.open_stream(data) as reader:
        return reader.read_all()


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()

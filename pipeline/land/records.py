"""Records: batches, markers and dead letters as the bytes of objects, and back.

A marker or letter is one JSON document. A batch is `RPB1`, the length of a JSON head as four bytes
(big-endian), the head, and the rows of each table as Arrow IPC streams behind one another.
"""

import json
from dataclasses import asdict
from typing import Any, Final

import pyarrow as pa

from pipeline.land.protocol import Batch, Letter, Marker, Range
from schemas.errors import SetupError

_MAGIC: Final = b"RPB1"
_HEAD: Final = len(_MAGIC) + 4


def to_bytes(value: Batch | Marker | Letter) -> bytes:
    """An object's bytes; those of a batch hold its rows, a letter's only its value.

    Raises:
        TypeError: facts or a letter's value are not of JSON's types; a bug of the caller.
    """
    match value:
        case Batch():
            return _from_batch(value)
        case Marker():
            return _json(asdict(value))
        case Letter():
            return _json(dict(value.value))


def from_bytes(data: bytes) -> Batch | Marker:
    """What `to_bytes` was given.

    Raises:
        SetupError: `lake_corrupt`, if it is no record or marker of this version.
    """
    try:
        return _to_batch(data) if data[:4] == _MAGIC else _to_marker(json.loads(data))
    except (ValueError, KeyError, TypeError, pa.ArrowException) as error:
        message = f"a record begins with {data[:16]!r} and cannot be read ({error}); restore it"
        raise SetupError("lake_corrupt", message) from error


def _from_batch(batch: Batch) -> bytes:
    streams = {table: _stream(rows) for table, rows in batch.rows.items()}
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
        with pa.ipc.open_stream(data[end : end + size]) as reader:
            rows[table] = reader.read_all()
        end += size
    return Batch(
        rows=rows,
        markers=tuple(_to_marker(marker) for marker in head.pop("markers")),
        ranges=tuple(Range(part["app"], tuple(part["markers"])) for part in head.pop("ranges")),
        letters=tuple(Letter(**letter) for letter in head.pop("letters")),
        **head,
    )


def _to_marker(value: dict[str, Any]) -> Marker:
    return Marker(**value)


def _stream(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, rows.schema, options=options) as writer:
        writer.write_table(rows)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()

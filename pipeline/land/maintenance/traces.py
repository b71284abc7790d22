"""Traces: where a lake holds anything of one medium, in tables, files and objects."""

import json
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from pipeline.land.place import Place
from pipeline.land.protocol import RECORDS, Batch
from pipeline.land.records import batch_at
from pipeline.land.store import FORGOTTEN, KNOWN, is_half_written
from pipeline.land.tables import is_written, open_table
from schemas.tables import KEYS

COLUMNS: Final = {table: keys[0] for table, keys in KEYS.items() if table != "runs"}
"""Tables with rows of media, and the column that names the medium."""

LETTERS: Final = "dead/"


def prefixes(media_id: str) -> tuple[str, ...]:
    """What the names of a medium's own objects begin with: its shards and its markers."""
    return f"shards/{media_id[:2]}/{media_id}/", f"markers/{media_id}/"


def traces(place: Place, media_id: str) -> Iterator[str]:
    """Everything that is left of a medium, read anew; one line each.

    Its id may stay: in `forgotten/`, as the key of a record, and in the logs as an application id
    or as the first or last id in a file.
    """
    for table, column in COLUMNS.items():
        if is_written(place, table) and (rows := rows_of(place, table, media_id)):
            yield f"{place.table(table)}: {rows} rows"
        for name in file_names(place, table):
            if file_holds(place, name, column, media_id):
                yield f"{place.uri}/{name}: rows in a data file"
    for name in place.objects.names(""):
        folder = name.partition("/")[0]
        if folder in KEYS or name.startswith(FORGOTTEN):
            continue
        if media_id in name or _object_holds(place, name, media_id):
            yield f"{place.uri}/{name}: an object"


def known_names(place: Place, media_id: str) -> list[str]:
    """Objects that say of an address that it is a medium."""
    return [name for name in place.objects.names(KNOWN) if name.endswith(f"/{media_id}")]


def rows_of(place: Place, table: str, media_id: str) -> int:
    """How many rows of a medium a table has."""
    found = open_table(place, table).to_pyarrow_dataset()
    return int(found.count_rows(filter=ds.field(COLUMNS[table]) == media_id))


def values_of(place: Place, table: str, media_id: str, column: str) -> list[Any]:
    """A column of the rows of a medium."""
    dataset = open_table(place, table).to_pyarrow_dataset()
    wanted = ds.field(COLUMNS[table]) == media_id
    values: list[Any] = dataset.to_table(columns=[column], filter=wanted)[column].to_pylist()
    return values


def file_names(place: Place, table: str) -> list[str]:
    """Names of a table's data files, those too that no commit names or that are half written."""
    names = place.objects.names(f"{table}/")
    return [name for name in names if ".parquet" in name and "/_delta_log/" not in name]


def file_holds(place: Place, name: str, column: str, media_id: str) -> bool:
    """Whether a data file has rows of a medium, or cannot be read and so may have them."""
    data = place.objects.get(name)
    if data is None:
        return False
    try:
        values = pq.read_table(pa.BufferReader(data), columns=[column]).column(column)
    except pa.ArrowException:
        return True
    # Compacted files come back as string views, for which Arrow has no comparison.
    return bool(pc.any(pc.equal(values.cast(pa.string()), media_id)).as_py())


def without(batch: Batch, media_id: str, addresses: Collection[str] = ()) -> Batch:
    """A batch without the rows, markers, ranges and letters of a medium; equal if it has none.

    Args:
        batch: of any media.
        media_id: of the medium.
        addresses: where it came from: what a letter knows of a medium that could not be read.
    """
    markers, words = prefixes(media_id)[1], {media_id, *addresses}
    rows = {table: _without_rows(table, rows, media_id) for table, rows in batch.rows.items()}
    return replace(
        batch,
        rows=rows,
        markers=tuple(m for m in batch.markers if not m.name.startswith(markers)),
        ranges=tuple(
            part
            for part in batch.ranges
            if not any(name.startswith(markers) for name in part.markers)
        ),
        letters=tuple(
            letter for letter in batch.letters if not mentions(dict(letter.value), words)
        ),
    )


def mentions(value: Any, words: Collection[str]) -> bool:  # noqa: ANN401 - any JSON value
    """Whether a text anywhere in a JSON value is one of some words."""
    if isinstance(value, str):
        return value in words
    if isinstance(value, dict):
        return any(mentions(item, words) for item in value.values())
    return isinstance(value, list) and any(mentions(item, words) for item in value)


def _without_rows(table: str, rows: pa.Table, media_id: str) -> pa.Table:
    if table not in COLUMNS:
        return rows
    held = pc.fill_null(pc.equal(rows.column(COLUMNS[table]), media_id), False)
    return rows.filter(pc.invert(held))


def _object_holds(place: Place, name: str, media_id: str) -> bool:
    if not name.startswith((LETTERS, RECORDS)):
        return False
    data = place.objects.get(name)
    if data is None:
        return False
    if is_half_written(name):
        return True  # nobody can say
    if name.startswith(LETTERS):
        return mentions(json.loads(data), {media_id})
    batch = batch_at(name, data)
    return without(batch, media_id) != batch

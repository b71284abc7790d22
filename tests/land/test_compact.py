"""Compaction: rows sorted by medium, so that a look-up of one reads a file or two."""

import json
import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from deltalake import DeltaTable, Field, Schema
from deltalake.schema import PrimitiveType

from pipeline.land.maintenance.rewrite import erase, merge
from pipeline.land.place import Place
from pipeline.land.store import local_place
from pipeline.land.tables import open_table
from pipeline.query.sql import query
from schemas.tables import FRAMES, TABLES
from tests.tables import append

_MEDIA = [f"{number:064x}" for number in range(400)]
_FRAMES = 500
_TARGET = 1 << 19


@pytest.fixture
def scattered(place: Place) -> Place:
    """Every medium has rows in every file."""
    chance = np.random.default_rng(1)
    order = chance.permutation(len(_MEDIA) * _FRAMES)
    for number, some in enumerate(np.array_split(order, 20)):
        columns = {
            "media_id": pa.array(_MEDIA).take(pa.array(some // _FRAMES)),
            "sampling": pa.array(["rate=1"] * len(some)),
            "frame_no": pa.array(some % _FRAMES),
            "phash": pa.array(chance.integers(1 << 60, size=len(some))),
        }
        nulls = {field.name: pa.nulls(len(some), field.type) for field in FRAMES}
        append(place, "frames", "app", number, pa.table(nulls | columns, schema=FRAMES))
    return place


def spans(place: Place) -> list[tuple[str, str]]:
    """Of the ids in each file, as the log says them."""
    found = pa.table(open_table(place, "frames").get_add_actions(flatten=True)).to_pylist()
    return sorted((row["min.media_id"], row["max.media_id"]) for row in found)


def test_files_hold_media_in_order_and_the_log_says_which_and_nothing_else(
    scattered: Place,
) -> None:
    rows = "select count(*), sum(phash), count(distinct (media_id, frame_no)) from frames"
    before = query(scattered, rows)
    old, new = merge(scattered, "frames", _TARGET)
    assert old == 20
    assert query(scattered, rows) == before
    log = max(Path(scattered.uri, "frames", "_delta_log").glob("*.json"))
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    stats = [json.loads(action["add"]["stats"]) for action in actions if "add" in action]
    ids_alone = ["numRecords", "minValues", "maxValues", "nullCount"], {"media_id"}
    assert all((list(one), set(one["minValues"] | one["nullCount"])) == ids_alone for one in stats)
    found = spans(scattered)
    assert len(found) == new > 3
    assert all(one[1] <= other[0] for one, other in pairwise(found))
    dataset = open_table(scattered, "frames").to_pyarrow_dataset()
    for media_id in _MEDIA[::40]:
        wanted = ds.field("media_id") == media_id
        assert 1 <= len(list(dataset.get_fragments(filter=wanted))) <= 2
        assert dataset.count_rows(filter=wanted) == _FRAMES
    others = ds.field("width").is_null() & (ds.field("sampling") == "rate=1")
    assert dataset.count_rows(filter=others) == len(_MEDIA) * _FRAMES
    keys = dataset.to_table(columns=["media_id", "sampling", "frame_no"])
    assert keys == keys.sort_by([(name, "ascending") for name in keys.column_names])


def test_what_is_erased_leaves_files_in_order(scattered: Place) -> None:
    merge(scattered, "frames", _TARGET)
    erase(scattered, "frames", "media_id", _MEDIA[7])
    found = query(scattered, "select media_id, count(*) n from frames group by all order by all")
    left = [media_id for media_id in _MEDIA if media_id != _MEDIA[7]]
    assert found.to_pylist() == [{"media_id": media_id, "n": _FRAMES} for media_id in left]
    assert all(one[1] <= other[0] for one, other in pairwise(spans(scattered)))


@pytest.mark.parametrize("table", sorted(TABLES))
def test_rows_of_nulls_and_lists_are_compacted(place: Place, table: str) -> None:
    for number in range(2):
        append(place, table, "a", number, pa.Table.from_pylist([{}], schema=TABLES[table]))
    assert merge(place, table, _TARGET) == (2, 1)
    assert query(place, f"from {table}").num_rows == 2


def test_columns_of_a_newer_reelpage_are_kept(place: Place) -> None:
    wider = Schema([*Schema.from_arrow(FRAMES).fields, Field("later", PrimitiveType("string"))])
    DeltaTable.create(place.table("frames"), wider)
    row = {"media_id": _MEDIA[0], "frame_no": 0}
    append(place, "frames", "a", 0, pa.Table.from_pylist([row], schema=FRAMES))
    newer = FRAMES.append(pa.field("later", pa.string()))
    append(place, "frames", "a", 1, pa.Table.from_pylist([row | {"later": "x"}], schema=newer))
    assert merge(place, "frames", _TARGET) == (2, 1)
    found = open_table(place, "frames").to_pyarrow_dataset().to_table()
    assert sorted(found["later"].to_pylist(), key=str) == [None, "x"]


def test_files_of_wide_rows_are_no_larger_than_others(place: Place) -> None:
    chance = np.random.default_rng(2)
    for number in range(8):
        texts = [chance.bytes(1000).hex() for _ in range(400)]
        columns = {
            "media_id": pa.array([_MEDIA[number]] * len(texts)),
            "sampling": pa.array(["rate=1"] * len(texts)),
            "page_no": pa.array(range(1, len(texts) + 1)),
            "text": pa.array(texts),
        }
        schema = TABLES["pages"]
        nulls = {field.name: pa.nulls(len(texts), field.type) for field in schema}
        append(place, "pages", "a", number, pa.table(nulls | columns, schema=schema))
    small = 1 << 20
    _, new = merge(place, "pages", small)
    sizes = pa.table(open_table(place, "pages").get_add_actions())["size_bytes"].to_pylist()
    assert len(sizes) == new > 1
    assert max(sizes) < 2 * small
    assert query(place, "select count(distinct text) n from pages")["n"][0].as_py() == 8 * 400


def test_a_table_that_keeps_its_log_keeps_it(tmp_path: Path) -> None:
    """Expired entries are cleared away at some commits, but where the table says never."""
    place = local_place(tmp_path)
    kept = {
        "delta.enableExpiredLogCleanup": "false",
        "delta.logRetentionDuration": "interval 0 seconds",
        "delta.checkpointInterval": "20",
    }
    DeltaTable.create(place.table("frames"), FRAMES, configuration=kept)
    log = tmp_path / "frames" / "_delta_log"
    row = {"media_id": "m", "sampling": "s", "frame_no": 0}
    for number in range(42):
        append(place, "frames", "a", number, pa.Table.from_pylist([row], schema=FRAMES))
        if number in (18, 38):
            for path in log.glob("*"):
                os.utime(path, (1, 1))
    assert (log / f"{0:020}.json").exists()
    assert len(list(log.glob("*.json"))) >= 43


@pytest.mark.parametrize("name", ["it's", "a': {name: 'a'}}); copy (select 42) to 'lost.csv'; --"])
def test_a_column_may_have_any_name(place: Place, tmp_path: Path, name: str) -> None:
    fields = [*Schema.from_arrow(FRAMES).fields, Field(name, PrimitiveType("string"))]
    options = place.options()
    DeltaTable.create(place.table("frames"), Schema(fields), storage_options=options)
    for number in range(2):
        row = {"media_id": "m", "sampling": "s", "frame_no": number}
        append(place, "frames", "app", number, pa.Table.from_pylist([row], schema=FRAMES))
    assert merge(place, "frames", _TARGET) == (2, 1)
    assert query(place, "select frame_no from frames").num_rows == 2
    assert not list(tmp_path.rglob("lost.csv"))
    assert not Path("lost.csv").exists()

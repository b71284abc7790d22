"""The landing rule: what has landed lands once, whatever is repeated, refused or lost."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import duckdb
import polars
import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, Field, Schema, Transaction, write_deltalake
from deltalake.schema import PrimitiveType
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.land.lake import Lake, Landing
from pipeline.land.store import local_place
from pipeline.query.sql import open_dataset, query
from schemas.tables import FRAMES, TABLES

Frames = Callable[[str, list[int]], pa.Table]


def numbers(root: Path, app: str) -> list[int]:
    table = open_dataset(local_place(root), "frames").to_table(columns=["media_id", "frame_no"])
    return sorted(row["frame_no"] for row in table.to_pylist() if row["media_id"] == app)


def test_a_replay_lands_nothing(lake: Lake, frames: Frames) -> None:
    landing = Landing("a", 0, frames("a", [0, 1]), final=True)
    assert lake.position("frames", "a") is None
    assert lake.land("frames", [landing]) == 2
    assert lake.land("frames", [landing]) == 0
    assert lake.position("frames", "a") == 0
    assert lake.finished("frames", "a")
    assert not lake.finished("frames", "b")
    assert numbers(lake.root, "a") == [0, 1]


def test_many_applications_land_in_one_commit(lake: Lake, frames: Frames) -> None:
    lake.land("frames", [])
    landings = [Landing(app, 0, frames(app, [0])) for app in "abc"]
    assert lake.land("frames", landings) == 3
    assert DeltaTable(str(lake.root / "frames")).version() == 1


def test_a_gap_is_refused(lake: Lake, frames: Frames) -> None:
    with pytest.raises(ValueError, match="position 1 after -1"):
        lake.land("frames", [Landing("a", 1, frames("a", [0]))])


def test_rows_of_another_schema_are_refused(lake: Lake) -> None:
    with pytest.raises(ValueError, match="another schema"):
        lake.land("frames", [Landing("a", 0, pa.table({"frame_no": ["zero"]}))])


def test_a_part_without_rows_still_moves_the_position(lake: Lake, frames: Frames) -> None:
    assert lake.land("frames", [Landing("a", 0, frames("a", []), final=True)]) == 0
    assert lake.position("frames", "a") == 0
    assert lake.finished("frames", "a")


def test_a_part_found_to_be_the_last_later_finishes(lake: Lake, frames: Frames) -> None:
    lake.land("frames", [Landing("a", 0, frames("a", [0]))])
    lake.land("frames", [Landing("a", 1, frames("a", [1]))])
    assert lake.land("frames", [Landing("a", 1, frames("a", [1]), final=True)]) == 0
    assert lake.finished("frames", "a")
    assert lake.position("frames", "a") == 1
    assert numbers(lake.root, "a") == [0, 1]


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 4), st.integers(1, 3), st.booleans()),
        max_size=8,
    )
)
def test_any_interleaving_with_replays_is_exact(steps: list[tuple[str, int, int, bool]]) -> None:
    """Each step replays from some earlier position, and a process may restart in between."""
    landed = {"a": 0, "b": 0}
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        for app, back, ahead, restart in steps:
            if restart:
                lake.close()
                lake = Lake(Path(folder))
            first = max(landed[app] - back, 0)
            landed[app] = max(landed[app], first + ahead)
            rows = [
                pa.Table.from_pylist([{"media_id": app, "frame_no": part}], schema=FRAMES)
                for part in range(first, first + ahead)
            ]
            lake.land("frames", [Landing(app, first + i, table) for i, table in enumerate(rows)])
        lake.close()
        for app, count in landed.items():
            assert numbers(Path(folder), app) == list(range(count))


def test_two_stale_handles_land_once(tmp_path: Path, frames: Frames) -> None:
    """The fence without the lock: both look first, both write, one is refused and looks again."""
    one = Lake(tmp_path)
    one.land("frames", [])
    (tmp_path / ".lock").unlink()
    other = Lake(tmp_path)
    assert one.position("frames", "a") is None
    assert other.position("frames", "a") is None
    for lake in (one, other):
        lake.land("frames", [Landing("a", 0, frames("a", [0, 1, 2]))])
    assert numbers(tmp_path, "a") == [0, 1, 2]
    one.close()
    other.close()


def test_the_naive_protocol_doubles(tmp_path: Path, frames: Frames) -> None:
    """Negative control: the same check, but written through the address, is no fence."""
    path = str(tmp_path / "frames")
    DeltaTable.create(path, FRAMES)
    handles = [DeltaTable(path), DeltaTable(path)]
    assert [handle.transaction_version("a") for handle in handles] == [None, None]
    for _ in handles:
        mark = CommitProperties(app_transactions=[Transaction("a", 0)])
        rows = frames("a", [0, 1, 2])
        write_deltalake(path, rows, mode="append", commit_properties=mark)
    assert DeltaTable(path).to_pyarrow_dataset().count_rows() == 6


def test_a_checkpoint_is_written_every_20_commits(lake: Lake, frames: Frames) -> None:
    for part in range(21):
        lake.land("frames", [Landing("a", part, frames("a", [part]))])
    assert list((lake.root / "frames" / "_delta_log").glob("*.checkpoint.parquet"))
    assert DeltaTable(str(lake.root / "frames")).transaction_version("a") == 20
    assert numbers(lake.root, "a") == list(range(21))


def test_a_lake_with_fewer_columns_gains_them(tmp_path: Path, frames: Frames) -> None:
    older = pa.schema([field for field in FRAMES if field.name not in ("phash", "run_id")])
    old_rows = pa.Table.from_pylist([{"media_id": "old", "frame_no": 7}], schema=older)
    Lake(tmp_path).close()
    DeltaTable.create(str(tmp_path / "frames"), older)
    write_deltalake(str(tmp_path / "frames"), old_rows, mode="append")
    before = open_dataset(local_place(tmp_path), "frames").to_table(columns=["frame_no", "phash"])
    assert before.to_pylist() == [{"frame_no": 7, "phash": None}]
    with Lake(tmp_path) as lake:
        lake.land("frames", [Landing("new", 0, frames("new", [0]))])
    assert numbers(tmp_path, "old") == [7]
    assert numbers(tmp_path, "new") == [0]
    columns = {field.name for field in DeltaTable(str(tmp_path / "frames")).schema().fields}
    assert columns == set(FRAMES.names)


def test_a_lake_with_more_columns_keeps_them(tmp_path: Path, frames: Frames) -> None:
    Lake(tmp_path).close()
    wider = Schema([*Schema.from_arrow(FRAMES).fields, Field("later", PrimitiveType("string"))])
    DeltaTable.create(str(tmp_path / "frames"), wider)
    with Lake(tmp_path) as lake:
        lake.land("frames", [Landing("a", 0, frames("a", [0]))])
    assert open_dataset(local_place(tmp_path), "frames").to_table()["later"].to_pylist() == [None]


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_table_reads_the_same_everywhere(tmp_path: Path, name: str) -> None:
    """DuckDB, Polars and pyarrow; nulls, long text in many scripts, times and lists."""
    rows = [{field.name: _value(field.type) for field in TABLES[name]}, {}]
    table = pa.Table.from_pylist(rows, schema=TABLES[name])
    with Lake(tmp_path) as lake:
        lake.land(name, [Landing("a", 0, table)])
    path = str(tmp_path / name)  # plain: Polars 2.1 does not find tables below names with spaces
    dataset = DeltaTable(path).to_pyarrow_dataset()
    assert dataset.to_table().cast(TABLES[name]).equals(table)
    assert polars.read_delta(path).to_arrow().cast(TABLES[name]).to_pylist() == table.to_pylist()
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.register("rows", dataset)
        seen = connection.sql("select * from rows").to_arrow_table()
    assert seen.cast(TABLES[name]).to_pylist() == table.to_pylist()


@pytest.mark.parametrize("condition", ["width = 7", "kind <> 'x'", "is_blank", "uri is null"])
def test_no_filter_loses_rows(tmp_path: Path, condition: str) -> None:
    """Filters are pushed down to the files: on other columns than the keys as well."""
    row = {"media_id": "a", "width": 7, "kind": "video", "is_blank": True}
    name = "pages" if condition == "is_blank" else "media"
    schema = TABLES[name]
    table = pa.Table.from_pylist(
        [{key: value for key, value in row.items() if key in schema.names}], schema=schema
    )
    with Lake(tmp_path) as lake:
        for part in range(2):
            lake.land(name, [Landing("a", part, table)])
    more = pa.Table.from_pylist(table.to_pylist(), schema=schema)
    write_deltalake(str(tmp_path / name), more, mode="append")  # a file with statistics
    found = query(local_place(tmp_path), f"select count(*) n from {name} where {condition}")
    assert found.to_pylist() == [{"n": 3}]


def _value(kind: pa.DataType) -> object:
    if pa.types.is_string(kind):
        return "a\n'é漢字\U0001f600\"" * 20
    if pa.types.is_list(kind):
        return [0.5, -1.0]
    if pa.types.is_boolean(kind):
        return True
    if pa.types.is_floating(kind):
        return 0.1
    bits = 31 if kind == pa.int32() else 61
    return pa.scalar(
        2**bits - 1 if pa.types.is_integer(kind) else 1_700_000_000_000_001, kind
    ).as_py()

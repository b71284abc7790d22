"""The landing rule: what has landed lands once, whatever is repeated, refused or lost."""

import tempfile
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import duckdb
import polars
import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, Field, Schema, Transaction, write_deltalake
from deltalake.schema import PrimitiveType
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.land.batch import Part
from pipeline.land.commit import GroupCommitter
from pipeline.land.lake import open_lake
from pipeline.land.perform import Performer
from pipeline.land.place import Place
from pipeline.land.positions import positions
from pipeline.land.protocol import Batch, Effect, Resumed, Steps
from pipeline.land.store import local_place
from pipeline.land.window import FINAL_PART, position_of
from pipeline.query.sql import query
from schemas.tables import FRAMES, TABLES
from tests.tables import PROTOCOL, append

Frames = Callable[[str, list[int]], pa.Table]


def numbers(place: Place, app: str) -> list[int]:
    found = query(place, "select frame_no from frames where media_id = ? order by all", [app])
    return [row["frame_no"] for row in found.to_pylist()]


def batch(app: str, before: int | None, last: int, rows: pa.Table) -> Batch:
    return Batch(app, before, last, 1 + last, {"frames": rows} if rows.num_rows else {})


def test_a_replay_lands_nothing(place: Place, frames: Frames) -> None:
    assert positions(place, ["a"]) == {"a": None}
    with GroupCommitter(place, 0) as tables:
        worker = Performer(tables, place.objects)
        for _ in range(2):
            assert worker.run(PROTOCOL.land(batch("a", None, 0, frames("a", [0, 1]))))
    for _ in range(2):
        append(place, "frames", "b", 0, frames("b", [0, 1]))
    assert positions(place, ["a"]) == {"a": 0}
    assert numbers(place, "a") == numbers(place, "b") == [0, 1]


def test_a_gap_is_refused(place: Place, frames: Frames) -> None:
    with GroupCommitter(place, 0) as tables:
        worker = Performer(tables, place.objects)
        assert not worker.run(PROTOCOL.land(batch("a", 0, 1, frames("a", [0]))))
    assert positions(place, ["a"]) == {"a": None}
    assert list(place.objects.names("frames/")) == []
    assert list(place.objects.names("landings/")) == []


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ({"frame_no": "zero"}, pa.ArrowInvalid),
        ({"frame_no": 2**63}, OverflowError),
        ({"media_id": "\ud800"}, UnicodeEncodeError),
    ],
)
def test_rows_that_fit_no_column_are_refused(row: dict[str, object], error: type) -> None:
    with pytest.raises(error):
        Part({"frames": [{"media_id": "a"}, row]}).sealed()


def test_parts_without_rows_still_move_the_position(place: Place, frames: Frames) -> None:
    last = position_of(0, 0, final=True)
    assert last & FINAL_PART == FINAL_PART
    with GroupCommitter(place, 0) as tables:
        worker = Performer(tables, place.objects)
        assert worker.run(PROTOCOL.land(batch("a", None, last, frames("a", []))))
        assert worker.run(PROTOCOL.resume("a")) == Resumed(last, "")
    assert numbers(place, "a") == []


def killed(steps: Steps[Any], effects: int) -> Generator[Effect, Any, None]:
    """The same steps by a worker that is killed behind so many effects."""
    reply: Any = None
    for _ in range(effects):
        try:
            effect = steps.send(reply)
        except StopIteration:
            return
        reply = yield effect


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 4), st.integers(1, 3), st.integers(0, 12)),
        max_size=8,
    )
)
def test_any_interleaving_with_replays_is_exact(steps: list[tuple[str, int, int, int]]) -> None:
    """Each step lands once more from some earlier position on, and its worker is killed in it.

    What others have gone on from is refused; the next worker finishes what was decided.
    """
    wanted = {"a": 0, "b": 0}
    with tempfile.TemporaryDirectory() as folder, open_lake(Path(folder)) as place:
        for app, back, ahead, effects in steps:
            wanted[app] = _landed_by(place, app, back, ahead, effects)
            assert numbers(place, app) == list(range(wanted[app]))
        assert positions(place, list(wanted)) == {
            app: count - 1 if count else None for app, count in wanted.items()
        }


def _landed_by(place: Place, app: str, back: int, ahead: int, effects: int) -> int:
    """How many rows of an application id are there once a worker was killed and another came."""
    with GroupCommitter(place, 0) as tables:
        first = _next(Performer(tables, place.objects), app)
        start = max(first - back, 0)
        rows = [{"media_id": app, "frame_no": number} for number in range(start, start + ahead)]
        table = pa.Table.from_pylist(rows, schema=FRAMES)
        more = batch(app, start - 1 if start else None, start + ahead - 1, table)
        Performer(tables, place.objects).run(killed(PROTOCOL.land(more), effects))
    with GroupCommitter(place, 0) as tables:
        now = _next(Performer(tables, place.objects), app)
    assert now in ({first, start + ahead} if start == first else {first})
    return now


def _next(worker: Performer, app: str) -> int:
    resumed = worker.run(PROTOCOL.resume(app))
    return 0 if resumed is None else resumed.position + 1


def test_two_stale_handles_land_once(place: Place, frames: Frames) -> None:
    """The fence without the lock: both look first, both write, one is refused and looks again."""
    append(place, "frames", "other", 0, frames("other", [0]))
    with GroupCommitter(place, 0) as one, GroupCommitter(place, 0) as other:
        for tables in (one, other):
            assert tables.look("frames", ["a"], reload=False) == {"a": None}
        for tables in (one, other):
            worker = Performer(tables, place.objects)
            worker.run(PROTOCOL.append("frames", "a", 0, frames("a", [0, 1, 2])))
    assert numbers(place, "a") == [0, 1, 2]


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


def test_a_checkpoint_is_written_every_20_commits(place: Place, frames: Frames) -> None:
    with GroupCommitter(place, 0) as tables:
        worker = Performer(tables, place.objects)
        for part in range(21):
            worker.run(PROTOCOL.append("frames", "a", part, frames("a", [part])))
    names = list(place.objects.names("frames/_delta_log/"))
    assert [name for name in names if name.endswith(".checkpoint.parquet")]
    assert DeltaTable(place.table("frames")).transaction_version("a") == 20
    assert numbers(place, "a") == list(range(21))


def test_a_lake_with_fewer_columns_gains_them(tmp_path: Path, frames: Frames) -> None:
    older = pa.schema([field for field in FRAMES if field.name not in ("phash", "run_id")])
    old_rows = pa.Table.from_pylist([{"media_id": "old", "frame_no": 7}], schema=older)
    with open_lake(tmp_path) as place:
        DeltaTable.create(str(tmp_path / "frames"), older)
        write_deltalake(str(tmp_path / "frames"), old_rows, mode="append")
        before = query(place, "select frame_no, phash from frames")
        assert before.to_pylist() == [{"frame_no": 7, "phash": None}]
        append(place, "frames", "new", 0, frames("new", [0]))
        assert numbers(place, "old") == [7]
        assert numbers(place, "new") == [0]
    columns = {field.name for field in DeltaTable(str(tmp_path / "frames")).schema().fields}
    assert columns == set(FRAMES.names)


def test_a_lake_with_more_columns_keeps_them(tmp_path: Path, frames: Frames) -> None:
    wider = Schema([*Schema.from_arrow(FRAMES).fields, Field("later", PrimitiveType("string"))])
    with open_lake(tmp_path) as place:
        DeltaTable.create(str(tmp_path / "frames"), wider)
        append(place, "frames", "a", 0, frames("a", [0]))
        assert numbers(place, "a") == [0]
    rows = DeltaTable(place.table("frames")).to_pyarrow_dataset().to_table()
    assert rows["later"].to_pylist() == [None]


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_table_reads_the_same_everywhere(tmp_path: Path, name: str) -> None:
    """DuckDB, Polars and pyarrow; nulls, long text in many scripts, times and lists."""
    rows = [{field.name: _value(field.type) for field in TABLES[name]}, {}]
    table = pa.Table.from_pylist(rows, schema=TABLES[name])
    append(local_place(tmp_path), name, "a", 0, table)
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
def test_no_filter_loses_rows(place: Place, condition: str) -> None:
    """Filters are pushed down to the files: on other columns than the keys as well."""
    row = {"media_id": "a", "width": 7, "kind": "video", "is_blank": True}
    name = "pages" if condition == "is_blank" else "media"
    schema = TABLES[name]
    table = pa.Table.from_pylist(
        [{key: value for key, value in row.items() if key in schema.names}], schema=schema
    )
    for part in range(2):
        append(place, name, "a", part, table)
    more = pa.Table.from_pylist(table.to_pylist(), schema=schema)
    write_deltalake(place.table(name), more, mode="append")  # a file with statistics
    found = query(place, f"select count(*) n from {name} where {condition}")
    assert found.to_pylist() == [{"n": 3}]


def _value(kind: pa.DataType) -> object:
    if pa.types.is_string(kind):
        return "a\n'é漢字\U0001f600\"" * 20
    if pa.types.is_list(kind):
        return [_value(kind.value_type)] * 2
    if pa.types.is_boolean(kind):
        return True
    if pa.types.is_floating(kind):
        return 0.1
    bits = 31 if kind == pa.int32() else 61
    return pa.scalar(
        2**bits - 1 if pa.types.is_integer(kind) else 1_700_000_000_000_001, kind
    ).as_py()

"""SQL over the lake, and over nothing else of the machine."""

from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.land.lake import open_lake
from pipeline.land.store import local_place
from pipeline.query.sql import query
from schemas.errors import SetupError
from schemas.tables import FRAMES, TABLES
from tests.tables import append


@pytest.fixture
def root(tmp_path: Path) -> Path:
    rows = [{"media_id": "m", "sampling": "s", "frame_no": number} for number in range(3)]
    with open_lake(tmp_path / "lake") as place:
        append(place, "frames", "m", 0, pa.Table.from_pylist(rows, schema=FRAMES))
    return tmp_path / "lake"


def test_rows_come_back(root: Path) -> None:
    assert query(local_place(root), "select sum(frame_no)::int n from frames").to_pylist() == [
        {"n": 3}
    ]


def test_parameters_are_values_not_text(root: Path) -> None:
    sql = "select count(*) n from frames where media_id = ?"
    assert query(local_place(root), sql, ["m' or 'a' = 'a"]).to_pylist() == [{"n": 0}]


@pytest.mark.parametrize("table", sorted(set(TABLES) - {"frames"}))
def test_tables_never_written_are_empty(root: Path, table: str) -> None:
    found = query(local_place(root), f"select * from {table}")
    assert found.num_rows == 0
    assert found.schema.names == TABLES[table].names


def test_uncommitted_files_are_not_read(root: Path) -> None:
    committed = next((root / "frames").glob("*.parquet"))
    committed.with_name("part-orphan.parquet").write_bytes(committed.read_bytes())
    assert query(local_place(root), "select count(*) n from frames").to_pylist() == [{"n": 3}]


@pytest.mark.parametrize(
    "sql",
    [
        "copy frames to '{away}'",
        "copy (select 1) to '{away}' (format parquet)",
        "export database '{away}'",
        "attach '{away}'",
        "select * from read_csv('/etc/passwd')",
        "select * from read_text('/etc/passwd')",
        "select * from read_parquet('{lake}/frames/*.parquet')",
        "select * from '/etc/passwd'",
        "select * from glob('/etc/*')",
        "install httpfs",
        "load httpfs",
        "set enable_external_access = true",
        "set lock_configuration = false",
        "insert into frames select * from frames",
        "delete from frames",
    ],
)
def test_nothing_else_can_be_read_or_written(root: Path, tmp_path: Path, sql: str) -> None:
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SetupError) as caught:
        query(local_place(root), sql.format(away=tmp_path / "away", lake=root))
    assert caught.value.code == "bad_query"
    assert sorted(tmp_path.rglob("*")) == before


def test_variables_of_the_caller_are_no_tables(root: Path) -> None:
    secret = pa.table({"x": [1]})
    assert secret.num_rows == 1
    with pytest.raises(SetupError, match="secret"):
        query(local_place(root), "select * from secret")


def test_a_mistake_names_itself_on_one_line(root: Path) -> None:
    with pytest.raises(SetupError) as caught:
        query(local_place(root), "selec *\nfrom frames")
    assert "\n" not in caught.value.message
    assert "syntax error" in caught.value.message


@pytest.mark.parametrize("sql", ["", "-- nothing"])
def test_no_statement_gives_no_rows(root: Path, sql: str) -> None:
    assert query(local_place(root), sql).num_rows == 0

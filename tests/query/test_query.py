"""SQL over the lake, and over nothing else of the machine."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from pipeline.land.files import Files
from pipeline.land.lake import open_lake
from pipeline.land.place import Place
from pipeline.land.store import local_place
from pipeline.land.tables import check_version
from pipeline.query.sql import Lake, query
from schemas.errors import SetupError
from schemas.tables import FRAMES, TABLES
from services.settings import Settings
from services.stack.servers import S3Server
from services.storage.places import open_place
from tests.tables import append


@pytest.fixture
def root(tmp_path: Path) -> Path:
    rows = [{"media_id": "m", "sampling": "s", "frame_no": number} for number in range(3)]
    with open_lake(tmp_path / "lake") as place:
        append(place, "frames", "m", 0, pa.Table.from_pylist(rows, schema=FRAMES))
    return tmp_path / "lake"


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


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
        "copy (select 7 frame_no) to '{file}' (format parquet, use_tmp_file false)",
        "copy (select 7 frame_no) to '{name}' (format parquet, use_tmp_file false)",
        "copy (select 7 frame_no) to '{name}'",
        "copy (select 7 frame_no) to 'lake://frames/new.parquet'",
        "copy (select 7 frame_no) to 'lake://frames' (format parquet, partition_by (frame_no))",
        "with x as (copy (select 7 frame_no) to '{name}' (use_tmp_file false)) select * from x",
        "with x as (copy frames to '{away}') select * from x",
        "select (with x as (copy frames to '{name}') select count(*) from x)",
        "explain analyze copy frames to '{name}' (use_tmp_file false)",
        "select 1; copy frames to '{name}' (use_tmp_file false)",
        "prepare x as copy frames to '{name}' (use_tmp_file false); execute x",
        "export database '{away}'",
        "export database 'lake://frames'",
        "import database '{away}'",
        "attach 'lake://frames/new.db'",
        "attach '{file}' as other",
        "pragma enable_profiling = 'json'",
        "pragma profiling_output = '{away}'",
        "call enable_logging(storage = 'file', storage_path = '{away}')",
        "set temp_directory = '{away}'",
        "set allowed_directories = ['/']",
        "reset enable_external_access",
        "select * from enable_logging(storage = 'file')",
        "call enable_profiling(save_location = '{away}')",
        "import database 'lake://frames'",
        "select * from read_text('lake://*')",
        "select * from parquet_metadata('{file}')",
        "load 'lake://frames/none.parquet'",
        "install 'lake://frames/none.parquet'",
        "select * from query('copy frames to ''{name}''')",
        "select * from read_csv('lake://../secret.csv')",
        "select * from read_text('lake://frames/../lake.json')",
        "select * from read_parquet('lake://frames/part-orphan.parquet')",
        "select * from read_blob('lake:///etc/passwd')",
        "create secret (type s3, key_id 'a')",
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
    file = next((root / "frames").glob("*.parquet"))
    file.with_name("part-orphan.parquet").write_bytes(file.read_bytes())
    (tmp_path / "secret.csv").write_text("a,b")
    before = contents(tmp_path)
    names = {"away": tmp_path / "away", "file": file, "name": f"lake://frames/{file.name}"}
    with pytest.raises(SetupError) as caught:
        query(local_place(root), sql.format(lake=root, **names))
    assert caught.value.code == "bad_query"
    assert "Traceback" not in caught.value.message
    assert contents(tmp_path) == before


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


@pytest.fixture
def remote(s3: S3Server, bucket: str) -> Place:
    settings = Settings(
        s3_endpoint=s3.endpoint, s3_access_key=s3.access_key, s3_secret_key=s3.secret_key
    )
    place = open_place(f"s3://{bucket}/lake", settings)
    check_version(place, write=True)
    rows = [{"media_id": "m", "sampling": "s", "frame_no": number} for number in range(3)]
    append(place, "frames", "m", 0, pa.Table.from_pylist(rows, schema=FRAMES))
    return place


def test_a_lake_in_a_bucket_is_read_and_not_written(remote: Place) -> None:
    (name,) = remote.objects.names("frames/part-")
    data, copy = remote.objects.get(name), f"copy (select 1) to 'lake://{name}' (format parquet)"
    for sql in (copy, f"with x as ({copy}) select * from x", f"copy frames to 's3://{name}'"):
        with pytest.raises(SetupError) as caught:
            query(remote, sql)
        assert caught.value.code == "bad_query"
    assert remote.objects.get(name) == data
    found = query(remote, "select sum(frame_no)::int n from frames, (select count(*) from pages)")
    assert found.to_pylist() == [{"n": 3}]


def test_a_file_that_is_gone_is_named(root: Path) -> None:
    next((root / "frames").glob("*.parquet")).unlink()
    with pytest.raises(SetupError, match="is gone") as caught:
        query(local_place(root), "from frames")
    assert caught.value.code == "lake_corrupt"


def test_only_tables_that_a_statement_names_are_opened(root: Path) -> None:
    with open_lake(root) as place:
        append(place, "pages", "m", 0, TABLES["pages"].empty_table())
    log = root / "pages" / "_delta_log" / f"{0:020}.json"
    log.write_text("damaged")
    with Lake(local_place(root)) as lake:
        assert lake.select("select count(*) n from frames f join frames using (frame_no)")
        with pytest.raises(SetupError, match="pages") as caught:
            lake.select("select * from frames, pages")
        assert caught.value.code == "lake_corrupt"
        assert lake.select("select 1 n").to_pylist() == [{"n": 1}]


def test_a_connection_sees_one_version_of_a_table(root: Path) -> None:
    with Lake(local_place(root)) as lake:
        before = lake.select("select count(*) n from frames")
        row = {"media_id": "m", "sampling": "s", "frame_no": 3}
        append(local_place(root), "frames", "m", 1, pa.Table.from_pylist([row], schema=FRAMES))
        assert lake.select("select count(*) n from frames") == before
        assert lake.select("select count(*) n from pages").to_pylist() == [{"n": 0}]


def test_rows_come_as_they_are_read(root: Path) -> None:
    with Lake(local_place(root)) as lake:
        rows = lake.stream("select n, repeat('x', 1000) from range(1000000000000) t(n)")
        first = next(iter(rows))
    assert first["n"][0].as_py() == 0
    assert first.num_rows < 1 << 20


def test_an_error_behind_the_first_rows_is_ours(root: Path) -> None:
    with Lake(local_place(root)) as lake:
        rows = lake.stream("select if(n < 1e6, n, error('late')) from range(2000000) t(n)")
        with pytest.raises(SetupError, match="late") as caught:
            rows.read_all()
    assert caught.value.code == "bad_query"


def test_threads_that_share_a_file_read_their_own_bytes(root: Path) -> None:
    """DuckDB seeks and reads in two steps, from many threads at once."""
    files = Files(local_place(root))
    files.ready = True
    (name,) = files.glob("lake://frames/*")
    whole, file = (root / name).read_bytes(), files.open(name)
    file.seek(100)
    with ThreadPoolExecutor(1) as other:
        other.submit(file.seek, 4).result()
        assert file.read(20) == whole[100:120]
        assert other.submit(file.read, 20).result() == whole[4:24]
    assert file.read(20) == whole[120:140]


def test_the_working_directory_is_none_of_a_querys(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB spills into `.tmp` there by itself, and lets statements use that folder."""
    (tmp_path / ".tmp").mkdir()
    (tmp_path / ".tmp" / "a.csv").write_text("1")
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path)
    for sql in ("copy (select 1) to '.tmp/b.csv'", "from read_text('.tmp/a.csv')"):
        with pytest.raises(SetupError, match="Permission"):
            query(local_place(root), sql)
    assert contents(tmp_path) == before


def test_rows_that_were_deleted_elsewhere_do_not_come_back(root: Path) -> None:
    """Other writers may leave a file as it is, and list the rows in it that are gone."""
    log = root / "frames" / "_delta_log"
    features = ["deletionVectors"]
    protocol = {
        "minReaderVersion": 3,
        "minWriterVersion": 7,
        "readerFeatures": features,
        "writerFeatures": features,
    }
    following = log / f"{len(list(log.glob('*.json'))):020}.json"
    following.write_text(json.dumps({"protocol": protocol}) + "\n")
    with pytest.raises(SetupError, match="deletionVectors") as caught:
        query(local_place(root), "from frames")
    assert caught.value.code == "lake_newer"


def test_threads_that_share_an_object_read_it_by_turns(remote: Place) -> None:
    count = 150_000
    known = {
        "media_id": pa.array(["m"] * count),
        "sampling": pa.array(["s"] * count),
        "frame_no": pa.array(range(count)),
        "phash": pa.array([number * 2_654_435_761 % (1 << 60) for number in range(count)]),
    }
    columns = {field.name: known.get(field.name, pa.nulls(count, field.type)) for field in FRAMES}
    append(remote, "frames", "m", 7, pa.table(columns, schema=FRAMES))
    with Lake(remote) as lake:
        for _ in range(4):
            found = lake.select(
                "select count(distinct phash) n, count(*) c from frames where phash > 0"
            )
            assert found["n"][0].as_py() > count // 2


def test_an_object_that_is_gone_is_named(remote: Place) -> None:
    """As by a vacuum meanwhile: it is missed when it is read."""
    (name,) = remote.objects.names("frames/part-")
    with Lake(remote) as lake:
        lake._files.sizes("frames")
        remote.objects.delete(name)
        with pytest.raises(SetupError, match=r"is gone; see reelpage verify") as caught:
            lake.select("from frames")
    assert caught.value.code == "lake_corrupt"
    assert "\n" not in caught.value.message


def test_a_file_that_is_cut_is_no_fault_of_the_query(root: Path) -> None:
    path = next((root / "frames").glob("*.parquet"))
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(SetupError, match="shorter than the table says") as caught:
        query(local_place(root), "from frames")
    assert caught.value.code == "lake_corrupt"


def test_files_of_others_may_have_any_name(root: Path) -> None:
    """The log has their names as of a URL."""
    path = next((root / "frames").glob("*.parquet"))
    path.rename(path.with_name("part [é].parquet"))
    for entry in (root / "frames" / "_delta_log").glob("*.json"):
        entry.write_text(entry.read_text().replace(path.name, "part%20%5B%C3%A9%5D.parquet"))
    assert DeltaTable(str(root / "frames")).to_pyarrow_table().num_rows == 3
    assert query(local_place(root), "select count(*) n from frames").to_pylist() == [{"n": 3}]

"""Compaction, vacuum, and a medium forgotten: on the disk and on a real S3."""

import io
import os
import threading
import time
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from pipeline.land.commit import GroupCommitter
from pipeline.land.maintenance.compact import compact, vacuum
from pipeline.land.maintenance.forget import forget, is_forgotten
from pipeline.land.maintenance.rewrite import erase, merge, replace_files
from pipeline.land.maintenance.traces import traces
from pipeline.land.parquet import write_file
from pipeline.land.perform import Performer
from pipeline.land.place import Place
from pipeline.land.protocol import Batch, Letter, Marker, Protocol, Range, Resumed
from pipeline.land.records import from_bytes
from pipeline.land.rows import to_table
from pipeline.land.store import local_place
from pipeline.land.tables import check_version, open_table
from pipeline.query.sql import query
from pipeline.query.verify import verify
from schemas.errors import InputError, SetupError, TransientError
from schemas.tables import FAILURES
from services.settings import Settings
from services.stack.servers import S3Server
from services.storage.places import open_place
from tests.tables import numbers, race, wanted

BAD, GOOD = "b" * 64, "c" * 64
SECRET = "the secret words"
APP = "g/t/0"


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        opened = local_place(tmp_path / "a lake, é")
    else:
        s3: S3Server = request.getfixturevalue("s3")
        bucket: str = request.getfixturevalue("bucket")
        settings = Settings(
            s3_endpoint=s3.endpoint, s3_access_key=s3.access_key, s3_secret_key=s3.secret_key
        )
        opened = open_place(f"s3://{bucket}/lake", settings)
    check_version(opened, create=True)
    return opened


@pytest.fixture
def folder(tmp_path: Path) -> Place:
    opened = local_place(tmp_path)
    check_version(opened, create=True)
    return opened


def batch(number: int, before: int | None) -> Batch:
    """What a run of two jobs leaves, one of each medium."""
    rows: dict[str, list[dict[str, object]]] = {"frames": [], "answers": [], "failures": []}
    for media_id in (BAD, GOOD):
        key = {"media_id": media_id, "sampling": "s"}
        text = SECRET if media_id == BAD else "harmless"
        shard = f"shards/{media_id[:2]}/{media_id}/s/{number:06}.arrow"
        rows["frames"].append({**key, "frame_no": number, "uri": text, "shard": shard})
        rows["answers"].append({**key, "unit": "frame", "unit_no": number, "answer": text})
        rows["failures"].append({"input_id": media_id, "unit_no": number, "message": text})
    return Batch(
        APP,
        before,
        number << 20,
        number + 1,
        {table: to_table(table, some) for table, some in rows.items()},
        tuple(
            Marker(f"markers/{media_id}/{number}", "indexed", 1, {"uri": text})
            for media_id, text in ((BAD, SECRET), (GOOD, "harmless"))
        ),
        (Range(f"media/{BAD}", (f"markers/{BAD}/{number}", f"markers/{BAD}/none")),),
        f"key {number}",
        (
            Letter(f"dead/t/{number}", {"job": {"media_id": BAD, "uri": SECRET}}),
            Letter(f"dead/t/other {number}", {"job": {"media_id": GOOD}}),
        ),
    )


def fill(place: Place, count: int = 3) -> None:
    protocol = Protocol(lambda markers: FAILURES.empty_table(), FAILURES.empty_table())
    with GroupCommitter(place, 0) as tables:
        worker = Performer(tables, place.objects)
        for number in range(count):
            before = None if number == 0 else (number - 1) << 20
            assert worker.run(protocol.land(batch(number, before)))
            for media_id in (BAD, GOOD):
                name = f"shards/{media_id[:2]}/{media_id}/s/{number:06}.arrow"
                place.objects.put(name, SECRET.encode())


def holds_secret(place: Place) -> list[str]:
    """Every object in which the words of the bad medium can be found, by another way of reading."""
    found = []
    for name in place.objects.names(""):
        data = place.objects.get(name) or b""
        if name.endswith(".parquet"):
            text = repr(pq.read_table(io.BytesIO(data)).to_pylist()).encode()
        elif name.startswith("landings/"):
            record = from_bytes(data)
            assert isinstance(record, Batch)
            text = repr([record, *[rows.to_pylist() for rows in record.rows.values()]]).encode()
        else:
            text = data
        if SECRET.encode() in text and GOOD not in name:
            found.append(name)
    return found


def test_a_medium_is_forgotten_and_the_other_stays(place: Place) -> None:
    fill(place)
    assert compact(place) == {table: (3, 1) for table in ("answers", "failures", "frames")}
    before = query(place, f"from answers where media_id = '{GOOD}' order by all")
    assert len(holds_secret(place)) > 10
    done = forget(place, BAD)
    assert done.rows == {"frames": 3, "answers": 3, "failures": 3}
    assert done.objects == {"shards": 3, "markers": 3, "dead": 3, "landings": 1}
    assert done.files["answers"] == 4, "three, and the one that they were compacted to"
    assert holds_secret(place) == []
    assert query(place, f"from answers where media_id = '{GOOD}' order by all").equals(before)
    assert is_forgotten(place.objects, BAD)
    assert not is_forgotten(place.objects, GOOD)
    assert sum(forget(place, BAD).rows.values()) == 0, "a second time there is nothing"
    with GroupCommitter(place, 0) as tables:
        protocol = Protocol(lambda markers: FAILURES.empty_table(), FAILURES.empty_table())
        worker = Performer(tables, place.objects)
        assert worker.run(protocol.resume(APP)) == Resumed(2 << 20, "key 2")
    assert list(traces(place, BAD)) == []


def test_what_is_left_is_an_error(folder: Place, tmp_path: Path) -> None:
    """A worker has just written a file that no commit names yet: it may be about to."""
    fill(folder, 1)
    rows = to_table("frames", [{"media_id": BAD, "uri": SECRET}])
    orphan = tmp_path / "frames" / write_file(folder.objects, "frames", rows, "").path
    with pytest.raises(TransientError) as caught:
        forget(folder, BAD)
    assert caught.value.code == "not_forgotten"
    assert orphan.name in caught.value.message
    old = time.time() - 7200
    os.utime(orphan, (old, old))
    assert forget(folder, BAD).files["frames"] == 1
    assert not orphan.exists()


def test_what_a_killed_writer_left_is_found(folder: Place, tmp_path: Path) -> None:
    fill(folder, 1)
    half = tmp_path / "frames" / ".part-0.parquet.1-1"
    half.write_bytes(b"PAR1")
    with pytest.raises(TransientError):
        forget(folder, BAD)
    old = time.time() - 7200
    os.utime(half, (old, old))
    forget(folder, BAD)


@pytest.mark.parametrize("media_id", ["d" * 64, "", "x' or true --", "../" + BAD, "é"])
def test_an_unknown_medium_is_refused(folder: Place, media_id: str) -> None:
    fill(folder, 1)
    with pytest.raises(InputError) as caught:
        forget(folder, media_id)
    assert caught.value.code == "unknown_media"
    assert list(folder.objects.names("forgotten/")) == []


def test_workers_land_while_files_are_compacted_and_media_forgotten(folder: Place) -> None:
    place = folder
    fill(place, 1)
    stop = threading.Event()
    failures: list[Exception] = []

    def care() -> None:
        while not stop.is_set():
            try:
                compact(place)
                forget(place, BAD)
            except Exception as error:  # noqa: BLE001
                failures.append(error)

    thread = threading.Thread(target=care)
    with GroupCommitter(place, 0.01) as one, GroupCommitter(place, 0.01) as other:
        thread.start()
        race([one, other], place, apps=2, count=8)
        stop.set()
        thread.join()
    assert not failures
    assert [row for row in numbers(place) if row[0] != GOOD] == wanted(2, 8)


def test_vacuum_removes_old_files_that_no_commit_names(folder: Place, tmp_path: Path) -> None:
    fill(folder)
    compact(folder)  # its files are old only in a week
    rows = to_table("frames", [{}])
    young, orphan = (write_file(folder.objects, "frames", rows, who).path for who in "ab")
    old = time.time() - 7200
    for path in (tmp_path / "frames").glob("*.parquet"):
        if path.name != young:
            os.utime(path, (old, old))
    with pytest.raises(SetupError):
        vacuum(folder, 0)
    assert vacuum(folder, 1)["frames"] == 1
    kept = {path.name for path in (tmp_path / "frames").glob("*.parquet")}
    assert len(kept) == 5
    assert young in kept
    assert orphan not in kept
    assert query(folder, "select count(*) n from frames").to_pylist() == [{"n": 6}]


def test_of_two_rewrites_the_second_looks_again(folder: Place) -> None:
    """Both have read the same version: a compaction, and a medium's rows erased."""
    fill(folder)
    stale = open_table(folder, "frames")
    merge(folder, "frames", 1 << 20)
    file = write_file(folder.objects, "frames", to_table("frames", [{}]), "")
    with pytest.raises(DeltaError):
        replace_files(stale, [_path(stale)], [file], same_rows=False)
    erase(folder, "frames", "media_id", BAD)
    assert query(folder, "select media_id, count(*) n from frames group by all").to_pylist() == [
        {"media_id": GOOD, "n": 3}
    ]


def test_filters_work_on_what_was_rewritten(folder: Place) -> None:
    """Files with strings as views cannot be filtered where a file has one value only."""
    fill(folder)
    compact(folder)
    assert not [p for p in verify(folder) if p.kind in ("orphan_file", "missing_file")]
    forget(folder, BAD)
    for value, count in ((GOOD, 3), (BAD, 0), ("x", 0)):
        sql = f"select count(*) n from answers where media_id = '{value}' and sampling = 's'"
        assert query(folder, sql).to_pylist() == [{"n": count}]
    for name in folder.objects.names("answers/part-"):
        schema = pq.read_schema(io.BytesIO(folder.objects.get(name) or b""))
        assert schema.field("media_id").type == pa.string()


def _path(handle: DeltaTable) -> str:
    return PurePosixPath(handle.file_uris()[0]).name

"""Compaction, vacuum, and a medium forgotten: on the disk and on a real S3."""

import hashlib
import io
import os
import threading
import time
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from pipeline.land.commit import GroupCommitter
from pipeline.land.maintenance.compact import compact, vacuum
from pipeline.land.maintenance.forget import forget
from pipeline.land.maintenance.rewrite import erase, merge, replace_files
from pipeline.land.maintenance.traces import traces
from pipeline.land.parquet import write_file
from pipeline.land.perform import Performer
from pipeline.land.place import Place
from pipeline.land.protocol import STRUCTURE, Batch, Letter, Marker, Range, Resumed
from pipeline.land.records import batch_at, to_bytes
from pipeline.land.rows import to_table
from pipeline.land.store import CLAIMS, KNOWN, is_forgotten, local_place, sampling_id
from pipeline.land.tables import check_version, open_table
from pipeline.query.sql import query
from pipeline.query.verify import verify
from schemas.errors import InputError, SetupError, TransientError
from schemas.jobs import Job, MediaReference
from services.ingest.letters import letter, letter_name
from services.settings import Settings
from services.stack.servers import S3Server
from services.storage.places import open_place
from tests.tables import PROTOCOL, numbers, race, wanted

BAD, GOOD = "b" * 64, "c" * 64
SECRET = "the secret words"
TEXTS = {BAD: SECRET, GOOD: "harmless"}
FORGOTTEN_BEFORE = "forgotten/" + "a" * 64
SPANS = ("0-30", "30-100000")
APP, LOCAL = "g/t/0", "local/index/0"
SAMPLING = sampling_id("s")


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
    check_version(opened, write=True)
    return opened


@pytest.fixture
def folder(tmp_path: Path) -> Place:
    opened = local_place(tmp_path)
    check_version(opened, write=True)
    return opened


def letters(number: int, media_id: str, uri: str) -> list[Letter]:
    """Of a medium, of one page of it, and of its address while it could not be read."""
    job, run = Job(f"job {number}", MediaReference(uri)), f"run {number}"
    return [
        letter(letter_name(who, run, 0, page), who, job, [], {"media_id": who, "uri": uri})
        for who, page in (
            (media_id, 0),
            (media_id, 2),
            (hashlib.sha256(uri.encode()).hexdigest(), 0),
        )
    ]


def markers(media_id: str, uri: str) -> list[Marker]:
    """Of a medium, of a range of it, and of its pages."""
    folder, facts = f"markers/{media_id}/{SAMPLING}", {"uri": uri}
    return [
        Marker(f"{folder}/whole.json", STRUCTURE, "indexed", 1, facts),
        Marker(f"{folder}/0-30.json", STRUCTURE, "indexed", 1, facts),
        Marker(f"{folder}/pages.json", "2", "failed", 0, facts),
    ]


def shard(media_id: str, number: int) -> str:
    return f"shards/{media_id[:2]}/{media_id}/{SAMPLING}/{number:06}.arrow"


def batch(app: str, number: int, before: int | None) -> Batch:
    """What a run of two jobs leaves, one of each medium."""
    rows: dict[str, list[dict[str, object]]] = {"frames": [], "answers": [], "failures": []}
    for media_id, text in TEXTS.items():
        key = {"media_id": media_id, "sampling": "s", "uri": text}
        rows["frames"].append({**key, "frame_no": number, "shard": shard(media_id, number)})
        rows["answers"].append({**key, "unit": "frame", "unit_no": number, "answer": text})
        rows["failures"].append({"input_id": media_id, "unit_no": number, "uri": text})
    return Batch(
        app,
        before,
        number << 20,
        number + 1,
        {table: to_table(table, some) for table, some in rows.items()},
        tuple(one for media_id, text in TEXTS.items() for one in markers(media_id, text)),
        tuple(
            Range(f"media/{media_id}/s", tuple(f"{folder}/{span}.json" for span in SPANS))
            for media_id in TEXTS
            for folder in [f"markers/{media_id}/{SAMPLING}"]
        ),
        f"key {number}",
        tuple(one for media_id, text in TEXTS.items() for one in letters(number, media_id, text)),
    )


def fill(place: Place, count: int = 4) -> None:
    """A lake with all kinds of objects, of a stream and of one batch of `index`."""
    with GroupCommitter(place, 0) as tables:
        worker = Performer(tables, place.objects)
        for number in range(count):
            app = LOCAL if number == 3 else APP
            before = None if number in (0, 3) else (number - 1) << 20
            assert worker.run(PROTOCOL.land(batch(app, number, before)))
            for media_id in TEXTS:
                place.objects.put(shard(media_id, number), TEXTS[media_id].encode())
    for media_id in TEXTS:
        place.objects.put(f"{KNOWN}digest of an address/{media_id}", b"")
        place.objects.put(f"{CLAIMS}{media_id}", b"a key")
    place.objects.put("topics/g/t.json", b'{"partitions": 1}')
    place.objects.put(FORGOTTEN_BEFORE, b"{}")


def holds_secret(place: Place) -> list[str]:
    """Every object in which the words of the bad medium can be found, by another way of reading."""
    found = []
    for name in place.objects.names(""):
        data = place.objects.get(name) or b""
        if name.endswith(".parquet"):
            text = repr(pq.read_table(io.BytesIO(data)).to_pylist()).encode()
        elif name.startswith("landings/"):
            record = batch_at(name, data)
            text = repr([record, *[rows.to_pylist() for rows in record.rows.values()]]).encode()
        else:
            text = data
        if SECRET.encode() in text:
            found.append(name)
    return found


def test_a_medium_is_forgotten_and_the_other_stays(place: Place) -> None:
    fill(place)
    assert compact(place) == {table: (4, 1) for table in ("answers", "failures", "frames")}
    before = query(place, f"from answers where media_id = '{GOOD}' order by all")
    of_others = objects_of(place, GOOD)
    assert len(holds_secret(place)) > 20
    done = forget(place, BAD)
    assert done.rows == {"frames": 4, "answers": 4, "failures": 4}
    assert done.objects == {
        "shards": 4,
        "markers": 3,
        "known": 1,
        "claims": 1,
        "dead": 12,
        "landings": 2,
    }
    assert done.files["answers"] == 5, "four, and the one that they were compacted to"
    assert holds_secret(place) == []
    assert query(place, f"from answers where media_id = '{GOOD}' order by all").equals(before)
    assert is_forgotten(place.objects, BAD)
    assert not is_forgotten(place.objects, GOOD)
    assert sum(forget(place, BAD).rows.values()) == 0, "a second time there is nothing"
    with GroupCommitter(place, 0) as tables:
        worker = Performer(tables, place.objects)
        assert worker.run(PROTOCOL.resume(APP)) == Resumed(2 << 20, "key 2")
        assert worker.run(PROTOCOL.resume(LOCAL)) == Resumed(3 << 20, "key 3")
    assert list(traces(place, BAD)) == []
    assert holds_secret(place) == [], "what was decided last puts nothing back"
    assert objects_of(place, GOOD) == of_others


def objects_of(place: Place, media_id: str) -> dict[str, bytes | None]:
    """The objects that are the other medium's alone."""
    names = [name for name in place.objects.names("") if media_id in name]
    folders = {"shards", "markers", "known", "claims", "dead"}
    assert {name.partition("/")[0] for name in names} == folders
    return {name: place.objects.get(name) for name in names}


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


@pytest.mark.parametrize(
    "name", ["frames/.part-0.parquet.1-1", "landings/g/t/0/.0.1-1", "dead/x/.y-0.json.1-1"]
)
def test_what_a_killed_writer_left_is_found(folder: Place, tmp_path: Path, name: str) -> None:
    fill(folder, 1)
    folder.objects.put("dead/x/z", b"{}")
    half = tmp_path / name
    half.write_bytes(b"PAR1")
    with pytest.raises(TransientError, match="1 traces are left"):
        forget(folder, BAD)
    old = time.time() - 7200
    os.utime(half, (old, old))
    forget(folder, BAD)
    assert not half.exists()


@pytest.mark.parametrize("media_id", ["d" * 64, "", "x' or true --", "../" + BAD, "é"])
def test_an_unknown_medium_is_refused(folder: Place, media_id: str) -> None:
    fill(folder, 1)
    with pytest.raises(InputError) as caught:
        forget(folder, media_id)
    assert caught.value.code == "unknown_media"
    assert list(folder.objects.names("forgotten/")) == [FORGOTTEN_BEFORE]


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
    assert len(kept) == 6
    assert young in kept
    assert orphan not in kept
    assert query(folder, "select count(*) n from frames").to_pylist() == [{"n": 8}]


def test_vacuum_removes_records_of_batches_that_will_never_be_decided(folder: Place) -> None:
    """A worker is killed between its record and the ledger, and another goes on without it."""
    fill(folder)
    decided = list(folder.objects.names("landings/"))
    assert len(decided) == 2
    waits = replace(batch(APP, 8, 2 << 20), number=99)
    lost = replace(batch(APP, 9, 1 << 20), number=100)
    first = replace(batch("g/t/1", 0, None), number=101)
    for one in (waits, lost, first):
        folder.objects.put(one.record, to_bytes(one))
    assert vacuum(folder, 1)["landings"] == 1
    assert sorted(folder.objects.names("landings/")) == sorted(
        [*decided, waits.record, first.record]
    )
    with GroupCommitter(folder, 0) as tables:
        worker = Performer(tables, folder.objects)
        assert worker.run(PROTOCOL.resume(APP)) == Resumed(2 << 20, "key 2")
        assert worker.run(PROTOCOL.land(waits)), "it may still be decided"


def test_vacuum_leaves_the_records_of_an_older_lake_alone(folder: Place) -> None:
    fill(folder)
    folder.objects.put("lake.json", b'{"lake_version": 1}')
    folder.objects.put("landings/g/t/0/0", b"RPB1 of version 1")
    assert "landings" not in vacuum(folder, 1)
    assert folder.objects.get("landings/g/t/0/0") is not None


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
        {"media_id": GOOD, "n": 4}
    ]


def test_filters_work_on_what_was_rewritten(folder: Place) -> None:
    """Files with strings as views cannot be filtered where a file has one value only."""
    fill(folder)
    compact(folder)
    assert not [p for p in verify(folder) if p.kind in ("orphan_file", "missing_file")]
    forget(folder, BAD)
    for value, count in ((GOOD, 4), (BAD, 0), ("x", 0)):
        sql = f"select count(*) n from answers where media_id = '{value}' and sampling = 's'"
        assert query(folder, sql).to_pylist() == [{"n": count}]
    for name in folder.objects.names("answers/part-"):
        schema = pq.read_schema(io.BytesIO(folder.objects.get(name) or b""))
        assert schema.field("media_id").type == pa.string()


def _path(handle: DeltaTable) -> str:
    return PurePosixPath(handle.file_uris()[0]).name

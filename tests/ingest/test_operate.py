"""Operating a stream: status, verify, errors, retry and forget against the real broker and S3."""

import tarfile
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from deltalake import DeltaTable
from PIL import Image

from pipeline.query.sql import query
from pipeline.query.verify import verify
from schemas.jobs import Job, MediaReference
from services.inspect.failures import retries
from services.inspect.proof import prove
from services.topic.broker import Sender
from tests.conftest import CAPTION, FEW, SAMPLES, rows
from tests.ingest.conftest import StubStream
from tests.videos import video


@pytest.fixture(scope="module")
def filled(stream: StubStream) -> StubStream:
    """A few samples and one file that is no medium."""
    (stream.logs / "bad.mp4").write_bytes(b"no video")
    assert stream.submit(*FEW, stream.logs / "bad.mp4", *CAPTION)["sent"] == 5
    stream.wait()
    return stream


def problems(stream: StubStream) -> list[tuple[str, str]]:
    found = verify(stream.place) + prove(stream.place, stream.settings)
    return [(one.kind, one.table) for one in found]


def send(stream: StubStream, key: str, job: Job) -> None:
    with closing(Sender(stream.settings)) as sender:
        sender.send([(key, job)])


def test_status_counts_what_has_not_landed(filled: StubStream) -> None:
    found = filled.run("status", filled.location, "--json").json
    assert found["tables"]["media"] == 4
    assert found["open_failures"] == 1
    assert found["stream"]["lag"] == 0
    assert found["stream"]["eta_s"] == 0
    assert sum(one["landed"] for one in found["stream"]["partitions"]) == 5
    assert found["stream"]["jobs_per_s"] > 0
    assert "jobs/s, ETA" in filled.run("status", filled.location).out


def test_waiting_counts_what_failed_before(filled: StubStream) -> None:
    """A copy of what is no medium fails as the first one did, without a row of its own."""
    copy = filled.logs / "copy.mp4"
    copy.write_bytes((filled.logs / "bad.mp4").read_bytes())
    result = filled.run("submit", *FEW, copy, *CAPTION, "--wait", "--json")
    assert result.code == 1
    assert result.json["landed"] == {"indexed": 4, "failed": 1}
    good = filled.run("submit", *FEW, *CAPTION, "--wait")
    assert (good.code, good.out.splitlines()[0]) == (
        0,
        "4 jobs sent, 0 inputs refused; 4 indexed, 0 failed",
    )


def test_waiting_lasts_until_what_a_job_became_has_landed(filled: StubStream) -> None:
    """An object's job comes again under the key of its content."""
    place, bucket = filled.place, filled.location.split("/")[2]
    path = video(filled.logs / "object.mkv", 3)
    objects: Any = place.objects
    objects.put("waited/object.mkv", path.read_bytes())
    result = filled.run("submit", f"s3://{bucket}/lake/waited/", "--wait", "--json")
    assert result.json["landed"] == {"indexed": 1, "failed": 0}
    assert query(place, "from media where name = 'object.mkv'").num_rows == 1


def test_verify_finds_nothing_wrong(filled: StubStream) -> None:
    result = filled.run("verify", filled.location, "--topic", "--json")
    assert (result.code, result.json) == (0, [])


def test_a_failed_job_is_listed_and_sent_again(filled: StubStream) -> None:
    (first,) = filled.run("errors", filled.location, "--json").json
    assert first["code"] == "unsupported_format"
    none = filled.run("retry", filled.location, "--where", "code = 'none'", "--json").json
    assert none == {"retried": 0, "left": 0}
    again = ("retry", filled.location, "--where", "code = 'unsupported_format'", "--json")
    assert filled.run(*again).json == {"retried": 1, "left": 0}
    filled.wait()
    (second,) = filled.run("errors", filled.location, "--json").json
    assert (first["attempt"], second["attempt"]) == (0, 1)
    # What was sent again twice finds nothing left to do.
    ((key, job),), _ = retries(filled.place, [first])
    send(filled, key, job)
    filled.wait()
    assert filled.run("errors", filled.location, "--json").json == [second]
    assert problems(filled) == []


def test_a_mended_file_is_indexed_by_retry(filled: StubStream) -> None:
    late = filled.logs / "late.mkv"
    filled.submit(late)
    filled.wait()
    video(late, 4)
    assert filled.run("retry", filled.location, "--where", "code = 'not_found'").code == 0
    filled.wait()
    open_ = filled.run("errors", filled.location, "--json").json
    assert [row["code"] for row in open_] == ["unsupported_format"]
    (row,) = query(filled.place, "select frames from media where name = 'late.mkv'").to_pylist()
    assert row["frames"] == 4
    assert problems(filled) == []


def test_members_of_an_archive_are_jobs(filled: StubStream) -> None:
    """A job a member; what is wrong with one is said, and the others land."""
    archive = filled.logs / "some.tar"
    with tarfile.open(archive, "w") as made:
        made.add(SAMPLES / "phone.png", "inside/phone.png")  # is there already
        for number in range(2):
            picture = filled.logs / f"{number}.png"
            Image.new("RGB", (40, 30), (90 * number, 200, 40)).save(picture)
            made.add(picture, f"{number}.png")
        made.add(picture, "../evil.png")
    result = filled.run("submit", archive, "--wait", "--json")
    assert (result.code, result.json["sent"], result.json["failed"]) == (1, 3, 1)
    assert result.json["errors"][0][0] == "member_refused"
    uris = query(filled.place, "select uri from media").column("uri").to_pylist()
    assert {f"{archive}!0.png", f"{archive}!1.png"} <= set(uris)
    assert f"{archive}!inside/phone.png" not in uris
    assert problems(filled) == []


def test_a_new_question_lands_answers_alone(filled: StubStream) -> None:
    before = {table: rows(filled.place, table) for table in ("media", "frames", "pages")}
    count = len(rows(filled.place, "answers"))
    filled.submit(*FEW, "--tasks", "", "--ask", "What colour?")
    filled.wait()
    assert {table: rows(filled.place, table) for table in before} == before
    new = [row for row in rows(filled.place, "answers") if row["prompt"] == "What colour?"]
    assert len(rows(filled.place, "answers")) == count + len(new)
    assert len(new) > 0
    assert problems(filled) == []


def test_what_is_no_job_is_a_failure_of_its_place(filled: StubStream) -> None:
    send(filled, "k", Job("odd", MediaReference("/x"), sample="now and then"))
    filled.wait()
    assert "bad_job" in [row["code"] for row in rows(filled.place, "failures")]
    said = filled.run("retry", filled.location, "--where", "code = 'bad_job'", "--json").json
    assert said == {"retried": 0, "left": 1}
    assert problems(filled) == []


def test_the_same_content_by_another_address_is_no_gap(filled: StubStream) -> None:
    filled_bytes = (SAMPLES / "phone.png").read_bytes()
    bucket = filled.location.split("/")[2]
    objects: Any = filled.place.objects
    objects.put("copies/phone.png", filled_bytes)
    filled.submit(f"s3://{bucket}/lake/copies/")
    filled.wait()
    assert problems(filled) == []


@pytest.mark.parametrize(
    ("table", "condition", "found"),
    [
        ("answers", "prompt like 'Describe%'", ("gap", "answers")),
        ("failures", "code = 'bad_job'", ("gap", "failures")),
        ("media", "name = 'phone.png'", ("gap", "media")),
    ],
)
def test_verify_finds_lost_rows(
    filled: StubStream, undone: DeltaTable, condition: str, found: tuple[str, str]
) -> None:
    """The control: rows that disappear are found by the topic."""
    undone.delete(condition)
    assert found in problems(filled)


@pytest.fixture
def undone(filled: StubStream, table: str) -> Iterator[DeltaTable]:
    """A table that is put back as it was."""
    handle = DeltaTable(filled.place.table(table), storage_options=filled.place.options())
    version = handle.version()
    yield handle
    handle.restore(version)


def test_verify_finds_a_medium_that_no_job_names(filled: StubStream) -> None:
    more = dict(filled.environment, REELPAGE_TOPIC=f"{filled.settings.topic}-other")
    other = StubStream(more, filled.logs)
    other.submit(filled.logs / "late.mkv")
    assert ("orphan", "media") in problems(other)


def test_forget_keeps_a_medium_away(filled: StubStream) -> None:
    assert filled.run("forget", filled.location, "late.mkv", "--yes").code == 0
    filled.submit(filled.logs / "late.mkv")
    filled.wait()
    assert query(filled.place, "from media where name = 'late.mkv'").num_rows == 0
    assert problems(filled) == []

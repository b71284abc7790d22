"""A long video becomes jobs for its ranges, and one medium again."""

from fractions import Fraction
from functools import partial
from pathlib import Path

import pytest
from minio import Minio

from benchmarks.stub_worker import Stub
from pipeline.decode import decode
from pipeline.land.batch import Part
from pipeline.land.store import local_place
from pipeline.query.sql import query
from schemas.errors import InputError
from schemas.jobs import Job, MediaReference, PartRange
from services.ingest.claims import claim
from services.ingest.sources import Sources
from services.ingest.subject import Delivery, Tools
from services.ingest.work import Work
from services.settings import Settings
from services.topic.log import open_log
from tests.composed import TEXT_HERE
from tests.conftest import rows, run
from tests.ingest.conftest import StubStream
from tests.videos import video

MINUTES = 25
PARTS = MINUTES * 6
RANGES = PARTS // 30


@pytest.mark.ci
def test_the_ranges_of_a_long_video_are_one_medium(stream: StubStream, tmp_path: Path) -> None:
    long = video(stream.logs / "long.mp4", MINUTES * 60, fps=Fraction(1, 10))
    assert stream.submit(long, "--sample", "0.1fps", "--tasks", "caption")["sent"] == 1
    stream.wait()
    with open_log(stream.settings) as log:
        keys = [record.key.partition("/")[2] for record in log.read(log.bounds({}))]
    assert sorted(keys) == sorted(["", *(str(30 * number) for number in range(RANGES))])
    lake = tmp_path / "lake"
    assert run("index", long, "--to", lake, "--sample", "0.1fps", "--tasks", "").code == 0
    for table in ("media", "segments", "frames"):
        assert rows(stream.place, table) == rows(lake, table)
    asked = query(stream.place, "select distinct unit_no from answers order by unit_no")
    assert asked["unit_no"].to_pylist() == list(range(PARTS))
    assert stream.run("verify", stream.location, "--topic").code == 0


@pytest.mark.ci
def test_of_a_long_object_each_range_fetches_its_part(stream: StubStream, tmp_path: Path) -> None:
    long = video(tmp_path / "object.mp4", MINUTES * 60, fps=Fraction(1, 10), shift=1)
    settings = stream.settings
    bucket = stream.location.split("/")[2]
    host = settings.s3_endpoint.partition("://")[2]
    client = Minio(host, settings.s3_access_key, settings.s3_secret_key, secure=False)
    client.fput_object(bucket, "in/object.mp4", str(long))
    stream.submit(f"s3://{bucket}/in/", "--sample", "0.1fps", "--tasks", "caption")
    stream.wait()
    lake = tmp_path / "lake"
    assert run("index", long, "--to", lake, "--sample", "0.1fps", "--tasks", "").code == 0
    for table in ("media", "segments", "frames"):
        wanted = rows(lake, table)
        media_id = wanted[0]["media_id"]
        there = [row for row in rows(stream.place, table) if row["media_id"] == media_id]
        assert [row | {"uri": ""} for row in there] == [row | {"uri": ""} for row in wanted]
    assert stream.run("verify", stream.location, "--topic").code == 0


def test_failed_ranges_are_failures_of_their_own(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mp4", 4)
    settings = Settings(roots=(tmp_path,))
    objects = local_place(tmp_path / "lake").objects
    tools = Tools(objects, lambda _: {}, Stub(0), decode, TEXT_HERE, partial(claim, objects))
    spans = (PartRange(0, 30), PartRange(30, 60))
    failed = []
    for span in spans:
        job = Job(f"j/{span.start}", MediaReference(str(path)), range=span, ranges=spans)
        delivery = Delivery(job, "t", 0, 0, f"id/{span.start}", "run")
        made = Work(delivery, Sources(settings), tools).failure(InputError("corrupt", "x"))
        assert isinstance(made, Part)
        failed += made.sealed().rows["failures"].to_pylist()
        assert made.letters[0].value["key"] == f"id/{span.start}"
    assert [(row["unit"], row["unit_no"]) for row in failed] == [("range", 0), ("range", 30)]

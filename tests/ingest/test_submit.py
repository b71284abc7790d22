"""Submit: what becomes a job, with which key, and what is refused; on the real broker and S3."""

import io
import json
import signal
import subprocess
import tarfile
import time
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.errors import InputError, ReelpageError
from schemas.jobs import Job, MediaReference, StreamChunk
from services.ingest.archives import members_of
from services.ingest.recipe import parse_tasks
from services.ingest.sources import Sources
from services.stack.servers import S3Server
from services.storage.ranged import ranged
from services.submit.jobs import Question, chunk_job, chunk_jobs, jobs
from services.submit.sent import Sent
from services.topic.log import open_log
from tests.conftest import COMMAND, SAMPLES, environment
from tests.streams import Stream, StreamFactory
from tests.videos import video

QUESTION = Question(parse_tasks("caption", ()))


@pytest.fixture(scope="module")
def topic(streams: StreamFactory) -> Stream:
    """A stream without a worker."""
    return streams("test-submit-topic", partitions=3)


def made(arguments: list[str], stream: Stream) -> list[tuple[str, Job]]:
    found = list(jobs(arguments, QUESTION, stream.settings))
    assert all(not isinstance(one, ReelpageError) for one in found)
    return found  # type: ignore[return-value]


def test_the_same_work_has_the_same_id(topic: Stream) -> None:
    first, again = made([str(SAMPLES)], topic), made([str(SAMPLES)], topic)
    assert first == again
    assert len({job.id for _, job in first}) == 7
    other = Question(parse_tasks("ocr", ()))
    assert {job.id for _, job in first}.isdisjoint(
        job.id
        for _, job in jobs([str(SAMPLES)], other, topic.settings)  # type: ignore[misc]
    )


def test_a_file_goes_by_its_content(topic: Stream, tmp_path: Path) -> None:
    copy = tmp_path / "a copy é.png"
    copy.write_bytes((SAMPLES / "phone.png").read_bytes())
    ((key, job),) = made([str(copy)], topic)
    ((known, other),) = made([str(SAMPLES / "phone.png")], topic)
    assert key == known
    assert job.id != other.id
    assert job.media.uri == str(copy)


def test_an_address_goes_by_itself(topic: Stream) -> None:
    ((key, job),) = made(["https://example.org/a.mp4"], topic)
    assert job.media.uri == "https://example.org/a.mp4"
    assert len(key) == 64


def test_an_empty_folder_is_refused(topic: Stream, tmp_path: Path) -> None:
    result = topic.run("submit", tmp_path, "--json")
    assert result.code == 1
    assert (result.json["sent"], result.json["failed"]) == (0, 1)
    assert result.json["errors"][0][0] == "empty_directory"


def test_objects_below_a_prefix(topic: Stream, s3: S3Server, bucket: str) -> None:
    topic.environment["REELPAGE_SOURCES"] = f"s3://{bucket}"
    client = s3.client()
    for name in ("in/a.png", "in/b/c.pdf", "in/notes.txt", "other/d.png"):
        client.put_object(bucket, name, io.BytesIO(b"x"), 1)
    found = made([f"s3://{bucket}/in/"], topic)
    assert [job.media.uri.rpartition("/in/")[2] for _, job in found] == ["a.png", "b/c.pdf"]
    assert all(job.media.etag for _, job in found)
    client.put_object(bucket, "in/a.png", io.BytesIO(b"y"), 1)
    changed = made([f"s3://{bucket}/in/"], topic)
    assert changed[0][0] != found[0][0]
    assert changed[1] == found[1]
    (nothing,) = jobs([f"s3://{bucket}/none/"], QUESTION, topic.settings)
    assert isinstance(nothing, InputError)
    assert nothing.code == "empty_directory"


def test_members_of_archives_below_a_prefix(
    topic: Stream, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    """As a WebDataset lies in a bucket; members of a zip, plain and packed, too."""
    settings = replace(topic.settings, sources=(f"s3://{bucket}",))
    data = {f"{n}.png": bytes([n]) * 300_000 for n in range(1, 4)} | {"1.json": b"{}"}
    archives = {}
    with tarfile.open(fileobj=archives.setdefault("a.tar", io.BytesIO()), mode="w") as archive:
        for name, content in data.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    for name, how in (("b.zip", zipfile.ZIP_STORED), ("c.zip", zipfile.ZIP_DEFLATED)):
        with zipfile.ZipFile(archives.setdefault(name, io.BytesIO()), "w", how) as packed:
            for member, content in data.items():
                packed.writestr(member, content)
    archives["d.tar"] = io.BytesIO(b"no archive" * 99)
    for name, file in archives.items():
        s3.client().put_object(bucket, f"sets/{name}", file, file.seek(0, 2) - file.seek(0))
    ignored: Counter[str] = Counter()
    found = list(jobs([f"s3://{bucket}/sets/"], QUESTION, settings, ignored))
    (broken,) = (one for one in found if isinstance(one, ReelpageError))
    assert (broken.code, "d.tar" in broken.message, ignored) == ("corrupt", True, {".json": 3})
    sources, seen = Sources(settings), {}
    for one in found:
        if not isinstance(one, ReelpageError):
            with sources.open(one[1]) as source:
                seen[one[1].media.address.rpartition("/")[2]] = source.path.read_bytes()
    pictures = {name: content for name, content in data.items() if name.endswith(".png")}
    assert seen == {
        f"{archive}!{name}": content
        for archive in ("a.tar", "b.zip", "c.zip")
        for name, content in pictures.items()
    }


def test_of_a_large_archive_only_what_names_its_members_is_read() -> None:
    file, asked = io.BytesIO(), 0
    with tarfile.open(fileobj=file, mode="w") as archive:
        for number in range(20):
            info = tarfile.TarInfo(f"{number}.mp4")
            info.size = 4 << 20
            archive.addfile(info, io.BytesIO(bytes(info.size)))

    def read(offset: int, length: int) -> bytes:
        nonlocal asked
        asked += 1
        return file.getvalue()[offset : offset + length]

    size = len(file.getvalue())
    found = list(members_of(ranged(read, size), "s3://a/b.tar", Counter()))
    assert [one.member for one in found if isinstance(one, MediaReference)] == [
        f"{number}.mp4" for number in range(20)
    ]
    assert asked <= 2 * 20


def test_an_argument_that_cannot_be_read_costs_no_other(topic: Stream, bucket: str) -> None:
    topic.environment["REELPAGE_SOURCES"] = f"s3://{bucket}-absent"
    arguments = ["s3://another/in", f"s3://{bucket}-absent", "https://example.org/a.mp4"]
    refused, absent, job = jobs(arguments, QUESTION, topic.settings)
    assert isinstance(refused, ReelpageError)
    assert isinstance(absent, ReelpageError)
    assert (refused.code, absent.code) == ("url_refused", "store_missing")
    assert not isinstance(job, ReelpageError)


def test_names_from_standard_input_reach_the_topic(topic: Stream) -> None:
    paths = "\n".join(str(SAMPLES / name) for name in ("phone.png", "report.pdf"))
    assert topic.submit("-", text=paths)["sent"] == 2
    with open_log(topic.settings) as log:
        records = list(log.read(log.bounds({})))
    sent = {Job.from_json(record.value).media.uri for record in records}
    assert sent == set(paths.splitlines())
    assert all(record.key == json.loads(record.value)["id"] or record.key for record in records)


def submitting(topic: Stream, *options: str) -> "subprocess.Popen[str]":
    """`submit` that reads paths from a pipe which stays open."""
    return subprocess.Popen(
        [COMMAND, "submit", "-", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**topic.environment),
        cwd=topic.logs,
    )


def uris(topic: Stream) -> list[str]:
    with open_log(topic.settings) as log:
        return [Job.from_json(one.value).media.uri for one in log.read(log.bounds({}))]


def wait_for(uri: str, topic: Stream, patience_s: float = 30.0) -> None:
    give_up = time.monotonic() + patience_s
    while uri not in uris(topic):
        assert time.monotonic() < give_up, f"{uri} is not on the topic"
        time.sleep(0.2)


def test_jobs_are_sent_while_others_are_looked_for(topic: Stream) -> None:
    with submitting(topic, "--json") as command:
        assert command.stdin is not None
        for number in range(2):
            command.stdin.write(f"https://example.org/{number}.mp4\n")
            command.stdin.flush()
            wait_for("https://example.org/0.mp4", topic)
        assert command.poll() is None
        out, _ = command.communicate(timeout=60)
    assert json.loads(out)["sent"] == 2
    assert "https://example.org/1.mp4" in uris(topic)


def test_interrupted_waiting_leaves_the_jobs(topic: Stream) -> None:
    with submitting(topic, "--wait") as command:
        assert command.stdin is not None
        command.stdin.write("https://example.org/waited-for.mp4\n")
        command.stdin.close()
        command.stdin = None  # for `communicate`
        wait_for("https://example.org/waited-for.mp4", topic)
        time.sleep(2)  # until it waits for the worker that is not there
        command.send_signal(signal.SIGINT)
        _, said = command.communicate(timeout=60)
    assert command.returncode == 130
    assert f"the 1 jobs that were sent go on; see: reelpage status {topic.location}" in said


def test_what_was_sent_is_known_by_its_places() -> None:
    sent = Sent()
    three = [(f"key{n}", Job(f"job{n}", MediaReference("/x"))) for n in range(3)]
    sent.add([(0, 5), (1, 0), (0, 6)], three)
    sent.add([(0, 9)], [("key3", Job("job3", MediaReference("/x")))])
    assert sent.runs == {0: [[5, 6], [9, 9]], 1: [[0, 0]]}
    found = [sent.landed({0: place}) for place in (0, 5, 6, 7, 9, 10, 99)]
    assert found == [0, 0, 1, 2, 2, 3, 3]
    assert sent.landed({0: 99, 1: 1}) == len(sent) == 4
    assert sent.count({"job1", "job2", "other"}, {"key2", "other"}) == 2
    assert sent.count({"job0"}, {"key3"}) == 2


def test_chunks_follow_one_another(tmp_path: Path) -> None:
    files = [video(tmp_path / f"{n}.ts", 4, shift=n) for n in range(3)]
    found = list(chunk_jobs(files, "cam", 7, QUESTION, start_us=1_000_000))
    keys, made_ = zip(*found, strict=True)  # type: ignore[arg-type]
    assert set(keys) == {"cam"}
    assert [job.chunk for job in made_] == [
        StreamChunk("cam", 7 + n, 1_000_000 + n * 4_000_000) for n in range(3)
    ]


def test_a_chunk_that_is_too_large() -> None:
    with pytest.raises(InputError) as caught:
        chunk_job(StreamChunk("cam", 0, 0), bytes(15 << 20), QUESTION)
    assert caught.value.code == "too_large"

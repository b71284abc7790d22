"""An object of a store that is known is not fetched to find out what it is."""

import io
from pathlib import Path

from minio import Minio

from pipeline.land.place import Place
from schemas.jobs import Job
from services.ingest.recipe import parse_tasks
from services.settings import Settings
from services.submit.jobs import Question, jobs
from services.topic.broker import Sender
from tests.conftest import CAPTION, SAMPLES, rows, run
from tests.streams import Stream, StreamFactory

QUESTION = Question(parse_tasks("caption", ()))


def store(stream: Stream) -> Minio:
    found = Settings.from_environment(stream.environment)
    host = found.s3_endpoint.partition("://")[2]
    return Minio(host, found.s3_access_key, found.s3_secret_key, secure=False)


def known(place: Place) -> list[str]:
    return [name.rpartition("/")[2] for name in place.objects.names("known/")]


def submitted(stream: Stream, prefix: str) -> list[tuple[str, Job]]:
    """What `submit` sends."""
    found = list(jobs([prefix], QUESTION, stream.settings))
    assert all(isinstance(one, tuple) for one in found)
    return found  # type: ignore[return-value]


def send(stream: Stream, made: list[tuple[str, Job]]) -> None:
    Sender(stream.settings).send(made)
    stream.wait()


def put(stream: Stream, name: str, data: bytes) -> None:
    store(stream).put_object("stream-known", name, io.BytesIO(data), len(data))


def test_a_bucket_that_is_done_is_not_read_again(streams: StreamFactory, tmp_path: Path) -> None:
    stream = streams("known")
    stream.start("worker", "worker")
    picture, receipt = (SAMPLES / name for name in ("phone.png", "receipt.jpg"))
    put(stream, "in/a.png", picture.read_bytes())
    put(stream, "in/b.jpg", receipt.read_bytes())
    made = submitted(stream, "s3://stream-known/in/")
    send(stream, made)
    before = rows(stream.place, "answers")
    assert sorted(known(stream.place)) == sorted({row["media_id"] for row in before})

    # Whoever looked for their bytes would find none now, and say so.
    for name in ("in/a.png", "in/b.jpg"):
        store(stream).remove_object("stream-known", name)
    send(stream, made)
    assert rows(stream.place, "answers") == before
    assert rows(stream.place, "failures") == []
    put(stream, "in/copy.png", picture.read_bytes())
    send(stream, submitted(stream, "s3://stream-known/in/"))
    assert rows(stream.place, "answers") == before
    assert stream.run("verify", stream.location, "--topic").code == 0
    store(stream).remove_object("stream-known", "in/copy.png")

    # Another object of the name is another medium, and one that is asked for more is fetched.
    put(stream, "in/a.png", receipt.read_bytes() + b"\0")
    send(stream, submitted(stream, "s3://stream-known/in/"))
    assert len({row["media_id"] for row in rows(stream.place, "answers")}) == 3
    put(stream, "in/a.png", picture.read_bytes())
    stream.submit("s3://stream-known/in/", "--tasks", "ocr")
    stream.wait()
    assert {row["task"] for row in rows(stream.place, "answers")} == {"caption", "ocr"}
    assert run("index", picture, "--to", tmp_path / "lake", *CAPTION).code == 0
    (media_id,) = {row["media_id"] for row in rows(tmp_path / "lake", "media")}

    # What is forgotten leaves no word of where it was, and stays away.
    assert stream.run("forget", stream.location, media_id, "--yes").code == 0
    assert media_id not in known(stream.place)
    assert stream.run("verify", stream.location, "--topic").code == 0
    send(stream, submitted(stream, "s3://stream-known/in/"))
    assert media_id not in {row["media_id"] for row in rows(stream.place, "answers")}
    assert media_id not in known(stream.place)
    assert stream.run("verify", stream.location, "--topic").code == 0
    assert stream.end("worker") == 0

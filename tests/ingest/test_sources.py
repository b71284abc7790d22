"""Sources: where a job's bytes may come from, and what is refused."""

import base64
import io
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.jobs import Job, MediaReference
from services.ingest.sources import Sources
from services.settings import Settings
from services.stack.servers import S3Server
from services.storage.objects import listing

DATA = b"0123456789"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "file").write_bytes(DATA)
    (tmp_path / "secret").write_bytes(b"secret")
    return folder


def opened(settings: Settings, job: Job) -> bytes | str:
    """What is read, or the code of the error."""
    with Sources(settings).open(job) as source:
        return source.error.code if source.error else source.path.read_bytes()


def job(uri: object, **fields: object) -> Job:
    return Job("a", MediaReference(str(uri), **fields))  # type: ignore[arg-type]


def test_files_below_a_root(root: Path) -> None:
    settings = Settings(roots=(root,))
    assert opened(settings, job(root / "file")) == DATA
    assert opened(settings, job(f"file://{root}/file")) == DATA
    assert opened(settings, job(root / "absent")) == "not_found"


@pytest.mark.parametrize("name", ["../secret", "link", "folder/secret"])
def test_files_outside_the_roots(root: Path, name: str) -> None:
    (root / "link").symlink_to(root.parent / "secret")
    (root / "folder").symlink_to(root.parent)
    assert opened(Settings(roots=(root,)), job(f"{root}/{name}")) == "url_refused"


def test_no_root_and_no_relative_path(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert opened(Settings(), job(root / "file")) == "url_refused"
    monkeypatch.chdir(root)
    assert opened(Settings(roots=(root,)), job("file")) == "url_refused"


@pytest.mark.parametrize(
    ("offset", "length", "bytes_"),
    [(0, 4, b"0123"), (3, None, b"3456789"), (8, 9, b"89"), (2, 3, b"234")],
)
def test_byte_ranges(root: Path, offset: int, length: int | None, bytes_: bytes) -> None:
    part = job(root / "file", offset=offset, length=length)
    assert opened(Settings(roots=(root,)), part) == bytes_


def test_payload() -> None:
    inline = replace(job("stream:cam/0"), payload=base64.b64encode(DATA).decode())
    assert opened(Settings(), inline) == DATA
    assert opened(Settings(), replace(inline, payload="no base64!")) == "bad_job"


def test_addresses_inside_the_network() -> None:
    assert opened(Settings(), job("http://127.0.0.1:9/a.mp4")) == "url_refused"


def test_objects_and_their_versions(s3: S3Server, bucket: str) -> None:
    settings = Settings(
        s3_endpoint=s3.endpoint,
        s3_access_key=s3.access_key,
        s3_secret_key=s3.secret_key,
        sources=(f"s3://{bucket}",),
    )
    client, uri = s3.client(), f"s3://{bucket}/a.bin"
    client.put_object(bucket, "a.bin", io.BytesIO(DATA), len(DATA))
    ((_, etag, _),) = listing(settings, f"s3://{bucket}/")
    assert opened(settings, job(uri, etag=etag)) == DATA
    assert opened(settings, job(uri, offset=2, length=3, etag=etag)) == b"234"
    assert opened(settings, job(f"s3://{bucket}/absent")) == "not_found"
    client.put_object(bucket, "a.bin", io.BytesIO(b"other"), 5)
    assert opened(settings, job(uri, etag=etag)) == "media_changed"
    assert opened(settings, job(uri)) == b"other"

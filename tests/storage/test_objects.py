"""Objects that jobs name: those that are allowed, and what a store may say of one."""

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from schemas.errors import InputError, ReelpageError, SetupError, TransientError
from schemas.jobs import MediaReference
from services.settings import Settings
from services.stack.servers import S3Server
from services.storage.objects import check_allowed, download, listing, sparse
from services.storage.sparse import BLOCK, SparseFile
from tests.storage.conftest import settings_of

ANY_TEXT = st.text(st.characters(codec=None, categories=None, max_codepoint=0x10FFFF))


class Store(ThreadingHTTPServer):
    """A store that says the same to everybody."""

    reply: tuple[int, str, bytes] = (200, "text/plain", b"")

    def says(self, status: int, code: str) -> None:
        parts = ("Code", "Message", "Resource", "RequestId", "HostId")
        words = "".join(f"<{part}>{code}</{part}>" for part in parts)
        self.reply = (status, "application/xml", f"<Error>{words}</Error>".encode())


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Store)
        status, kind, body = self.server.reply
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(OSError):  # a client that has read enough
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with Store(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def allowed(store: Store, *sources: str) -> Settings:
    return Settings(
        s3_endpoint=f"http://127.0.0.1:{store.server_port}",
        s3_access_key="user",
        s3_secret_key="password",
        sources=sources or ("s3://media",),
    )


Fetch = Callable[[Settings, MediaReference, Path], object]


def fetched(settings: Settings, uri: str, folder: Path, fetch: Fetch = download) -> str:
    """What comes of a download, in a word."""
    try:
        etag = "1" if fetch is sparse else None
        fetch(settings, MediaReference(uri, etag=etag), folder / "medium")
    except ReelpageError as error:
        lines = len(error.message.splitlines())
        return f"{type(error).__name__} {error.code}" if lines == 1 else f"{lines} lines"
    return "done"


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (403, "AccessDenied", "InputError not_readable"),
        (403, "InvalidObjectState", "InputError not_readable"),
        (404, "NoSuchBucket", "InputError not_found"),
        (404, "NoSuchKey", "InputError not_found"),
        (400, "KMS.DisabledException", "InputError not_readable"),
        (400, "KeyTooLongError", "InputError not_readable"),
        (301, "PermanentRedirect", "InputError not_readable"),
        (416, "InvalidRange", "InputError not_readable"),
        (412, "PreconditionFailed", "InputError media_changed"),
        (403, "InvalidAccessKeyId", "SetupError store_refused"),
    ],
)
@pytest.mark.parametrize("fetch", [download, sparse])
def test_a_refusal_is_about_one_medium(
    store: Store, tmp_path: Path, fetch: Fetch, status: int, code: str, outcome: str
) -> None:
    store.says(status, code)
    assert fetched(allowed(store), "s3://media/a.mp4", tmp_path, fetch) == outcome


@pytest.mark.parametrize(
    ("status", "kind", "body", "outcome"),
    [
        (503, "text/html", b"busy", "TransientError store_failed"),
        (500, "application/xml", b"<Error>", "TransientError store_failed"),
        (404, "application/xml", b"\xff\xfe", "TransientError store_failed"),
        (403, "text/html", b"no", "InputError not_readable"),
        (404, "text/html", b"no", "InputError not_found"),
    ],
)
def test_a_reply_that_is_garbled(
    store: Store, tmp_path: Path, status: int, kind: str, body: bytes, outcome: str
) -> None:
    store.reply = (status, kind, body)
    assert fetched(allowed(store), "s3://media/a.mp4", tmp_path) == outcome


def test_a_store_that_knows_no_ranges_is_not_believed(store: Store, tmp_path: Path) -> None:
    store.reply = (200, "video/mp4", b"all of it")
    uri = "s3://media/a.mp4"
    assert fetched(allowed(store), uri, tmp_path, sparse) == "TransientError store_failed"


def test_a_part_of_an_object_comes_when_it_is_read(
    s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    settings = replace(settings_of(s3), sources=(f"s3://{bucket}",))
    data = bytes(range(256)) * (3 * BLOCK // 256) + b"end"
    etag = s3.client().put_object(bucket, "in", io.BytesIO(data), len(data)).etag
    for offset, length in ((0, None), (5, BLOCK + 9)):
        media = MediaReference(f"s3://{bucket}/in", etag=etag, offset=offset, length=length)
        file = sparse(settings, media, tmp_path / "medium")
        wanted = data[offset:] if length is None else data[offset : offset + length]
        assert file.size == len(wanted)
        kept = file.path.read_bytes()
        assert kept == wanted[:BLOCK] + bytes(len(wanted) - BLOCK), "its beginning alone"
        assert file.fill(file.size - 2, file.size)[1] == file.size
        assert file.path.read_bytes()[-3:] == wanted[-3:]
    s3.client().put_object(bucket, "in", io.BytesIO(b"other"), 5)
    with pytest.raises(InputError) as caught:
        sparse(settings, media, tmp_path / "medium")
    assert caught.value.code == "media_changed"


@pytest.mark.parametrize("code", ["SlowDown", "RequestTimeout", "ThrottlingException"])
def test_a_busy_store_is_asked_again(store: Store, tmp_path: Path, code: str) -> None:
    store.says(400, code)
    assert fetched(allowed(store), "s3://media/a", tmp_path) == "TransientError store_failed"


@pytest.mark.parametrize(
    ("uri", "sources", "good"),
    [
        ("s3://media/a", (), False),
        ("s3://media/a", ("s3://media",), True),
        ("s3://media-of-others/a", ("s3://media",), False),
        ("s3://media/in/a", ("s3://other", "s3://media/in"), True),
        ("s3://media/in/", ("s3://media/in",), True),
        ("s3://media/inner/a", ("s3://media/in",), False),
        ("s3://media/in/../a", ("s3://media/in",), False),
        ("s3://media", ("s3://media/in",), False),
        ("s3://Bad_Bucket/a", ("s3://media",), False),
        ("s3://127.0.0.1/a", ("s3://127.0.0.1",), False),
    ],
)
def test_jobs_name_objects_below_the_sources(
    uri: str, sources: tuple[str, ...], good: bool
) -> None:
    settings = Settings(sources=sources)
    if good:
        check_allowed(settings, uri)
        return
    with pytest.raises(InputError) as caught:
        check_allowed(settings, uri)
    assert caught.value.code == "url_refused"


def test_who_submits_is_told_what_to_set(store: Store) -> None:
    settings = replace(allowed(store), sources=())
    with pytest.raises(InputError, match="REELPAGE_SOURCES=s3://media"):
        next(listing(settings, "s3://media/"))


def test_an_object_has_a_size_limit(s3: S3Server, bucket: str, tmp_path: Path) -> None:
    settings = replace(settings_of(s3), sources=(f"s3://{bucket}",), max_bytes=1000)
    for size, outcome in ((1000, "done"), (1001, "InputError too_large")):
        s3.client().put_object(bucket, "a?b#c", io.BytesIO(bytes(size)), size)
        assert fetched(settings, f"s3://{bucket}/a?b#c", tmp_path) == outcome


def test_a_disk_without_room_is_no_fault_of_the_medium(store: Store, tmp_path: Path) -> None:
    store.reply = (200, "video/mp4", b"data")
    target = tmp_path / "absent"
    assert fetched(allowed(store), "s3://media/a", target) == "TransientError disk_full"
    with pytest.raises(TransientError) as caught:
        SparseFile(target / "medium", 5, lambda *_: b"data")
    assert caught.value.code == "disk_full"


def test_a_store_that_is_not_set_up_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="REELPAGE_S3_ENDPOINT"):
        download(Settings(sources=("s3://media",)), MediaReference("s3://media/a"), tmp_path / "x")


@hypothesis_settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.one_of(ANY_TEXT, ANY_TEXT.map("s3://media/{}".format), ANY_TEXT.map("s3://{}/a".format)))
def test_no_address_raises_what_is_not_ours(store: Store, tmp_path: Path, uri: str) -> None:
    store.says(403, "AccessDenied")
    assert not fetched(allowed(store), uri, tmp_path).startswith(TransientError.__name__)

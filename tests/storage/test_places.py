"""Places by their addresses, and stores that cannot keep several writers apart."""

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline.land.store import local_place
from pipeline.land.tables import open_or_create, open_table
from schemas.errors import SetupError, TransientError
from services.settings import Settings
from services.stack.servers import S3Server
from services.storage.places import local_folder, open_place, probe
from tests.conftest import run
from tests.storage.conftest import Secure, settings_of

STORE = Settings(s3_endpoint="http://127.0.0.1:9", s3_access_key="a", s3_secret_key="b")


HALF = "checked, then stored"


@dataclass
class SmallStore:
    """Objects of a store that ignores, half honours or does not know one header of puts."""

    header: str
    fault: str
    stored: dict[str, bytes] = field(default_factory=dict)
    alone: threading.Lock = field(default_factory=threading.Lock)

    def etag(self, name: str) -> str:
        data = self.stored.get(name)
        return "" if data is None else f'"{hashlib.md5(data).hexdigest()}"'

    def put(self, name: str, data: bytes, headers: Message) -> int:
        """Store an object if the conditions hold; returns the HTTP status."""
        fault = self.fault if self.header in headers else ""
        if fault == "unknown":
            return 501
        with nullcontext() if fault == HALF else self.alone:
            if self.is_refused(name, headers):
                return 412
            if fault == HALF:
                time.sleep(0.2)
            self.stored[name] = data
            return 200

    def is_refused(self, name: str, headers: Message) -> bool:
        found = {
            "If-None-Match": name in self.stored,
            "If-Match": headers["If-Match"] != self.etag(name),
        }
        ignored = self.header if self.fault == "ignored" else ""
        return any(found[key] for key in found if key in headers and key != ignored)


@contextmanager
def small_store(header: str = "", fault: str = "") -> Iterator[str]:
    """Such a store, or one without a fault, over HTTP; its address."""
    store = SmallStore(header, fault)

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(store.put(self.name, data, self.headers))

        def do_GET(self) -> None:
            data = store.stored.get(self.name)
            if data is None:
                self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            else:
                self.answer(200, data)

        def do_DELETE(self) -> None:
            store.stored.pop(self.name, None)
            self.answer(204)

        @property
        def name(self) -> str:
            return self.path.partition("?")[0]

        def answer(self, status: int, body: bytes = b"") -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", store.etag(self.name))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_real_store_keeps_writers_apart(s3: S3Server, bucket: str) -> None:
    place = open_place(f"s3://{bucket}/lake/", settings_of(s3))
    assert place.uri == f"s3://{bucket}/lake"
    probe(place)
    assert list(place.objects.names("")) == []


@pytest.mark.parametrize(
    ("header", "fault", "words"),
    [
        ("If-None-Match", "ignored", "one new object were answered stored and stored"),
        ("If-None-Match", HALF, "one new object at once"),
        ("If-None-Match", "unknown", "HTTP status 501"),
        ("If-Match", "ignored", "present version were answered stored and stored"),
        ("If-Match", HALF, "over one object at once"),
        ("If-Match", "unknown", "HTTP status 501"),
    ],
)
def test_a_store_that_does_not_is_refused(header: str, fault: str, words: str) -> None:
    with small_store(header, fault) as endpoint:
        place = open_place("s3://lake/x", replace(STORE, s3_endpoint=endpoint))
        with pytest.raises(SetupError, match=words) as caught:
            probe(place)
    assert caught.value.code == "store_unsafe"
    assert header in caught.value.message


def test_the_small_store_would_pass_if_it_did() -> None:
    with small_store() as endpoint:
        place = open_place("s3://lake/x", replace(STORE, s3_endpoint=endpoint))
        probe(place)
        assert place.objects.get("probe/none") is None


def test_a_folder_and_a_store_that_is_away(tmp_path: Path) -> None:
    probe(local_place(tmp_path))
    with pytest.raises(TransientError, match="does not answer"):
        probe(open_place("s3://lake/x", STORE))


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("gs://lake/x", "give a folder or s3://bucket/prefix"),
        ("s3://", "give s3://bucket/prefix"),
        ("s3://Lake", "give s3://bucket/prefix"),
        ("s3://lake/a b", "give s3://bucket/prefix"),
        ("s3://lake/a//b", "give s3://bucket/prefix"),
        ("s3://lake/../x", "give s3://bucket/prefix"),
    ],
)
def test_addresses_that_are_none(location: str, words: str) -> None:
    with pytest.raises(SetupError, match=words) as caught:
        open_place(location, STORE)
    assert caught.value.code == "usage"


@pytest.mark.parametrize("name", ["s3_endpoint", "s3_access_key", "s3_secret_key"])
def test_a_setting_that_is_missing_is_named(name: str) -> None:
    with pytest.raises(SetupError, match=f"set .*REELPAGE_{name.upper()}"):
        open_place("s3://lake/x", replace(STORE, **{name: ""}))


def test_a_file_of_certificates_that_is_missing_is_named() -> None:
    with pytest.raises(SetupError, match="REELPAGE_S3_CA=/none"):
        open_place("s3://lake/x", replace(STORE, s3_ca="/none"))


def test_tables_trust_the_authority_of_the_environment(
    secure: Secure, s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """deltalake has no option for it."""
    settings = settings_of(s3, secure.endpoint, s3_ca=str(secure.ca_file))
    place = open_place(f"s3://{bucket}/lake", settings)
    with pytest.raises(SetupError, match="SSL_CERT_FILE") as caught:
        open_or_create(place, "runs")
    assert caught.value.code == "store_refused"
    monkeypatch.setenv("SSL_CERT_FILE", str(secure.ca_file))
    open_or_create(place, "runs")
    assert open_table(place, "runs").version() == 0


def test_one_process_indexes_into_folders_only() -> None:
    with pytest.raises(SetupError, match="reelpage submit"):
        local_folder("s3://lake/x")
    for arguments in (["index", "x.mp4", "--to", "s3://lake/x"], ["retry", "s3://lake/x"]):
        result = run(*arguments)
        assert result.code == 2
        assert "reelpage submit" in result.err

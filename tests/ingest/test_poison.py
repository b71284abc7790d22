"""Poison: whatever a job holds, and whatever a store says of its medium, is one row of failures."""

import io
import json
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.consume import open_input
from pipeline.land.store import local_place
from pipeline.query.sql import query
from pipeline.query.verify import verify
from schemas.errors import InputError
from schemas.jobs import Job
from services.ingest.work import read_job
from services.settings import Settings
from services.stack.servers import Broker, S3Server
from tests.composed import work_on
from tests.ingest.stream import MEDIA, Stream, job, wait_for
from tests.soak.members import Member
from tests.soak.stub import Stub

_LATE: Final = 1  # microseconds of 1970: what fails for now is not tried again
_chance = np.random.default_rng(9)


def picture(path: Path) -> Path:
    Image.fromarray(_chance.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(path)
    return path


# A worker's process on a topic


@pytest.fixture(scope="module")
def stream(
    tmp_path_factory: pytest.TempPathFactory, s3: S3Server, broker: Broker
) -> Iterator[Stream]:
    made = Stream(tmp_path_factory.mktemp("stream"), s3, broker)
    made.environment["REELPAGE_SOURCES"] = f"s3://{MEDIA},s3://{GONE}"
    yield made
    made.close()


@pytest.fixture(scope="module")
def worker(stream: Stream) -> Iterator[Member]:
    started = stream.worker()
    yield started
    assert started.running, "no record ends the worker"


GONE = "no-such-bucket-anywhere"


def text(**fields: object) -> bytes:
    """A job with a field that has another value than it can have."""
    value = {"version": 1, "id": "x", "media": {"uri": "/nowhere"}} | fields
    return json.dumps(value).encode()


BAD: Final = {
    "no JSON": b"no JSON",
    "bytes": b"\xff\xfe\x00",
    "nothing": b"",
    "NaN": b'{"version": 1, "id": "x", "media": {"uri": "/a"}, "deadline_us": NaN}',
    "deep": b"[" * 20_000,
    "a sample that is a number": text(sample=5),
    "an id that is a number": text(id=5),
    "a range of texts": text(range={"start": "a", "stop": "b"}),
    "a range that is endless": text(range={"start": 0, "stop": 1 << 60}),
    "NUL in the path": text(media={"uri": "/a\0b"}),
    "half a surrogate pair": b'{"version": 1, "id": "x", "media": {"uri": "/a\\ud800"}}',
    "a version that is true": text(version=True),
    "tasks that are a text": text(tasks="caption"),
    "a page before the first": text(pages=[0]),
}
"""Records that are no jobs."""

REFUSED: Final = {
    "http://[": "url_refused",
    "http://example..com/a.mp4": "url_refused",
    "http://example.com:99999/a.mp4": "url_refused",
    "s3://Bad_Bucket/x.mp4": "url_refused",
    f"s3://{GONE}/x.png": "not_found",
    f"s3://{MEDIA}/nowhere.png": "not_found",
    f"s3://{MEDIA}/forbidden.png": "not_readable",
    f"s3://{MEDIA}/archived.png": "not_readable",
    "/outside/of/the/roots.png": "url_refused",
}
"""Addresses, with what is wrong with them."""


def refusal(code: str) -> bytes:
    """What a store answers with HTTP status 403."""
    parts = ("Code", "Message", "Resource", "RequestId", "HostId")
    body = f"<Error>{''.join(f'<{part}>{code}</{part}>' for part in parts)}</Error>"
    head = "HTTP/1.1 403 Forbidden\r\nContent-Type: application/xml\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def test_each_poison_is_one_failure_and_its_neighbours_land(stream: Stream, worker: Member) -> None:
    for name, code in (("forbidden", "AccessDenied"), ("archived", "InvalidObjectState")):
        data = picture(stream.roots / f"{name}.png").read_bytes()
        stream.s3.client().put_object(MEDIA, f"{name}.png", io.BytesIO(data), len(data))
        match = f"GET /{MEDIA}/{name}.png".encode()
        stream.s3_proxy.arm("answer", match=match, times=1000, answer=refusal(code))
    poison: list[bytes | Job] = [*BAD.values()]
    poison += [job(f"job {number}", uri) for number, uri in enumerate(REFUSED)]
    good = []
    for number, one in enumerate(poison):
        path = picture(stream.roots / f"good {number}.png")
        good.append(str(path))
        stream.send(job(f"good {number}", str(path)), key=open_input(path).input_id)
        stream.send(one, key=f"key {number}")
    last = picture(stream.roots / "last.png")
    stream.send(job("last", str(last)), key=open_input(last).input_id)

    def landed() -> bool:
        """All of it: what is sent on to its home partition may come behind the last picture."""
        assert worker.running, worker.gone()
        is_whole = stream.indexed() == sorted([*good, str(last)])
        return is_whole and len(stream.failures()) >= len(BAD) + len(REFUSED)

    wait_for(landed, "the good pictures and the failures", 240)
    failures = stream.failures()
    found = Counter(str(row["code"]) for row in failures.values())
    assert found == Counter([*("bad_job" for _ in BAD), *REFUSED.values()])
    assert {uri: failures[uri]["code"] for uri in REFUSED} == REFUSED
    assert sum(uri.startswith(f"kafka:{stream.topic}/0/") for uri in failures) == len(BAD)
    assert verify(stream.place) == []
    assert worker.running


# The worker's classes, in this process

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
ODD: st.SearchStrategy[object] = st.sampled_from(
    [None, True, -1, 0, 1.5, 1 << 63, "", "\0", "\ud800", "x" * 70_000, [], {}, [[]], [1, 1]]
)
PLACES = st.sampled_from(
    [
        *(("version",), ("id",), ("media",), ("media", "uri"), ("media", "offset")),
        *(("media", "length"), ("media", "etag"), ("tasks",), ("tasks", 0), ("range",)),
        *(("tasks", 0, "name"), ("tasks", 0, "prompt"), ("tasks", 0, "max_new_tokens")),
        *(("sample",), ("payload",), ("ranges",), ("chunk",), ("attempt",), ("pages",)),
        *(("trace",), ("deadline_us",), ("unknown",)),
    ]
)


CHANGES = st.tuples(PLACES, ODD | JSON)
LOCAL: Final = Settings(roots=(Path("/"),))


def mutated(number: int, change: tuple[tuple[str | int, ...], object]) -> bytes:
    """A job about a file that is not there, with one value in place of another."""
    (*way, last), value = change
    made = job(f"job {number}", f"/nowhere/{number}.png", deadline_us=_LATE)
    whole = at = json.loads(made.to_json())
    for step in way:
        at = at[step]
    at[last] = value
    return json.dumps(whole).encode()


Records = list[tuple[str, bytes]]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Records:
    """Jobs about two pictures that can be read."""
    folder = tmp_path_factory.mktemp("good")
    paths = [picture(folder / f"{number}.png") for number in range(2)]
    return [
        (open_input(path).input_id, job(path.name, str(path)).to_json().encode()) for path in paths
    ]


def outcomes(root: Path, good: Records, poison: Records, settings: Settings) -> Counter[str]:
    """How records end between two good ones: each once, and those that fail with one row."""
    first, last = good
    ends = work_on(root, [first, *poison, last], Stub(), settings)
    counts: Counter[str] = Counter(part.outcome for parts in ends.parts.values() for part in parts)
    assert {len(parts) for parts in ends.parts.values()} == {1}
    assert len(ends.parts) == len(poison) + 2 + counts["sent_on"]
    for (part,) in ends.parts.values():
        assert len(part.rows.get("failures", ())) == (part.outcome == "failed")
    place = local_place(root)
    assert query(place, "from failures").num_rows == counts["failed"]
    names = query(place, "select name from media order by name")["name"].to_pylist()
    assert names == ["0.png", "1.png"]
    assert counts["indexed"] == 2
    assert verify(place) == []
    return counts


def is_job(value: bytes) -> bool:
    try:
        read_job(value)
    except InputError:
        return False
    return True


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(JSON.map(lambda value: json.dumps(value).encode()) | st.binary(), max_size=12),
    changes=st.lists(CHANGES, min_size=1, max_size=24),
)
def test_any_record_is_one_failure_at_the_most(
    tmp_path_factory: pytest.TempPathFactory,
    good: Records,
    values: list[bytes],
    changes: list[tuple[tuple[str | int, ...], object]],
) -> None:
    """A change may leave a job sound: then its file is the failure, or the same one again."""
    made = [*values, *(mutated(*change) for change in enumerate(changes))]
    root = tmp_path_factory.mktemp("any") / "lake"
    counts = outcomes(root, good, [(f"key {n}", one) for n, one in enumerate(made)], LOCAL)
    codes = Counter(query(local_place(root), "select code from failures")["code"].to_pylist())
    assert codes["bad_job"] >= sum(not is_job(one) for one in made)
    assert counts["failed"] + counts["known_failure"] == len(made)
    assert codes["internal"] == 0


@dataclass(frozen=True)
class Reply:
    """What a store says of one object.

    Attributes:
        status: of HTTP.
        kind: of the body.
        body: as it comes.
        cut: bytes that are declared and do not come.
    """

    status: int
    kind: str
    body: bytes
    cut: int


class Store(ThreadingHTTPServer):
    """Says something of its own of each object, by the object's name, a number."""

    replies: Sequence[Reply] = ()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Store)
        name = urlsplit(self.path).path.rpartition("/")[2]
        reply = self.server.replies[int(name)]
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.kind)
        self.send_header("Content-Length", str(len(reply.body) + reply.cut))
        self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        self.end_headers()
        with suppress(OSError):  # a client that has read enough
            self.wfile.write(reply.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with Store(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


CODES = st.sampled_from(
    [
        *("AccessDenied", "InvalidObjectState", "NoSuchKey", "NoSuchBucket", "SlowDown"),
        *("InternalError", "InvalidAccessKeyId", "ExpiredToken", "PermanentRedirect", "Strange"),
    ]
)
ERRORS = CODES.map(lambda code: refusal(code).partition(b"\r\n\r\n")[2])
REPLIES = st.builds(
    Reply,
    st.sampled_from([200, 206, 301, 307, 400, 401, 403, 404, 412, 416, 500, 503])
    | st.integers(200, 599),
    st.sampled_from(["application/xml", "text/html", "image/png", ""]),
    ERRORS | st.binary(max_size=200),
    st.sampled_from([0, 0, 0, 7]),
)


@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(replies=st.lists(REPLIES, min_size=1, max_size=16))
def test_whatever_a_store_says_of_an_object_is_one_failure(
    tmp_path_factory: pytest.TempPathFactory, good: Records, store: Store, replies: list[Reply]
) -> None:
    store.replies = replies
    reached = replace(
        LOCAL,
        s3_endpoint=f"http://127.0.0.1:{store.server_port}",
        s3_access_key="user",
        s3_secret_key="password",
        sources=(f"s3://{MEDIA}",),
        slots=8,
    )
    jobs = [job(f"job {n}", f"s3://{MEDIA}/{n}", deadline_us=_LATE) for n, _ in enumerate(replies)]
    root = tmp_path_factory.mktemp("store") / "lake"
    poison = [(f"key {n}", one.to_json().encode()) for n, one in enumerate(jobs)]
    counts = outcomes(root, good, poison, reached)
    assert counts["failed"] + counts["known_failure"] == len(replies)
    codes = set(query(local_place(root), "select code from failures")["code"].to_pylist())
    assert "internal" not in codes

"""Poison: whatever a job holds, and whatever a store says of its medium, is one row of failures."""

import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import strategies as st
from PIL import Image

from pipeline.consume import open_input
from pipeline.query.verify import verify
from schemas.errors import InputError
from schemas.jobs import Job
from services.ingest.work import read_job
from services.stack.servers import Broker, S3Server
from tests.composed import Ends
from tests.ingest.stream import MEDIA, Stream, job, wait_for
from tests.soak.members import Member

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
        key = open_input(path).input_id
        stream.send(job(f"good {number}", str(path)), key=key)
        stream.send(one, key=key)  # the worst place: behind a good one, and before none
    last = picture(stream.roots / "last.png")
    stream.send(job("last", str(last)), key=open_input(last).input_id)
    wait_for(lambda: stream.indexed() == sorted([*good, str(last)]), "the good pictures", 240)
    wait_for(lambda: len(stream.rows("failures")) >= len(poison), "the failures")
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
ODD = st.sampled_from(
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


def mutated(change: tuple[tuple[str | int, ...], Any], number: int, data: bytes) -> bytes:
    """A good job about a file that is not there, with one value in place of another."""
    (*way, last), value = change
    uri = f"/nowhere/{number}.png"
    made = job(f"job {number}", uri, deadline_us=_LATE)
    whole: Any = json.loads(made.to_json())
    at = whole
    for step in way:
        at = at[step]
    at[last] = value
    return json.dumps(whole).encode()


def outcomes(ends: Ends, offsets: int) -> Counter[str]:
    """How the records ended, each once; those that failed with one row."""
    assert sorted(ends.parts) == list(range(offsets))
    ended = [part for parts in ends.parts.values() for part in parts]
    assert len(ended) == offsets
    for part in ended:
        assert len(part.rows.get("failures", ())) == (part.outcome == "failed")
    return Counter(part.outcome for part in ended)


def is_job(value: bytes) -> bool:
    try:
        read_job(value)
    except InputError:
        return False
    return True

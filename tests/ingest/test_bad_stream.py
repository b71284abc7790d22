"""What a stream meets: messages of anybody, a broker and a store that go away. It goes on."""

import ast
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from schemas.errors import SetupError
from schemas.jobs import MediaReference
from services.ingest.board import Board
from services.ingest.poller import Poller
from services.stack.servers import Broker, S3Server, Servers
from tests.conftest import ROOT
from tests.ingest.stream import MEDIA, Stream, home_of, job, key_of, said, wait_for
from tests.soak.media import poison
from tests.soak.members import Member

_DAY_S = "86400"
_chance = np.random.default_rng(6)


def picture(stream: Stream, name: str) -> str:
    """A file that jobs may name."""
    path = stream.roots / name
    Image.fromarray(_chance.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(path)
    return str(path)


def at_home(stream: Stream, name: str, partition: int) -> str:
    """A file whose jobs are worked on in one of two partitions."""
    while home_of(Path(uri := picture(stream, name)), 2) != partition:
        pass
    return uri


def store_object(stream: Stream, name: str) -> str:
    data = Path(picture(stream, name)).read_bytes()
    stream.s3.client().put_object(MEDIA, name, io.BytesIO(data), len(data))
    return f"s3://{MEDIA}/{name}"


@pytest.fixture(scope="module")
def stream(
    tmp_path_factory: pytest.TempPathFactory, s3: S3Server, broker: Broker
) -> Iterator[Stream]:
    made = Stream(tmp_path_factory.mktemp("stream"), s3, broker)
    yield made
    made.close()


@pytest.fixture(scope="module")
def worker(stream: Stream) -> Iterator[Member]:
    """Starts while the broker is down, with a clock that is a day ahead."""
    with stream.broker_proxy.refusing():
        started = stream.worker("--skew", _DAY_S)
        wait_for(lambda: said(started, "polled again later", "broker"), "says that no broker is")
    yield started
    assert started.running, "no fault of a test ends the worker"


def test_the_broker_was_down_at_the_start(stream: Stream, worker: Member) -> None:
    uri = picture(stream, "first.png")
    stream.send(job("first", uri))
    wait_for(lambda: uri in stream.indexed(), "the first picture")


def test_bad_messages_are_failures_and_the_partition_goes_on(
    stream: Stream, worker: Member
) -> None:
    changed = store_object(stream, "changed.png")
    words = stream.roots / "words.mp4"
    words.write_text("these are words, no video\n" * 50)
    poison(stream.roots / "poison.pdf")
    link = stream.roots / "link.png"
    link.symlink_to("/etc/hostname")
    large = job("large", "stream:s/0", payload="x" * (20 << 20))
    newer = json.loads(job("newer", "/nowhere").to_json()) | {"version": 99}
    old = replace(job("old", changed), media=MediaReference(changed, etag="0" * 32))
    good = picture(stream, "good.png")
    bad = {
        b"no JSON": "bad_job",
        json.dumps(newer).encode(): "bad_job",
        job("inside", "http://169.254.169.254/latest/meta-data"): "url_refused",
        job("missing", f"s3://{MEDIA}/nowhere.png"): "not_found",
        old: "media_changed",
        job("outside", "/etc/hostname"): "url_refused",
        job("behind", str(link)): "url_refused",
        job("words", str(words)): "unsupported_format",
        large: "unsupported_format",
    }
    for number, one in enumerate(bad):
        stream.send(one, key=f"key {number}")
    stream.send(job("poison", str(stream.roots / "poison.pdf")), key="poison")
    stream.send(job("good", good), key="good")
    wait_for(lambda: good in stream.indexed(), "the good picture behind them")
    wait_for(lambda: len(stream.failures()) > len(bad), "all failures")
    failures = stream.failures()
    assert sorted(str(row["code"]) for row in failures.values()) == sorted(
        [*bad.values(), "decoder_crashed"]
    )
    for one in bad:
        name = "kafka:" if isinstance(one, bytes) else one.media.uri
        assert any(uri.startswith(name) for uri in failures), name
        if not isinstance(one, bytes):
            assert said(worker, "WARNING", f"job {one.id}: failed"), one.id
    assert said(worker, "WARNING", "job poison: indexed", "SIGSEGV"), "a page of it failed"
    jobs = sum(not isinstance(one, bytes) for one in bad) + 1  # and the page

    def letters() -> list[str]:
        return list(stream.place.objects.names("dead/"))

    wait_for(lambda: len(letters()) >= jobs, "the dead letters, which follow their rows")
    assert len(letters()) == jobs
    assert "stream:s/0" in str(failures["stream:s/0"]["message"]), (
        "not the name of a temporary file"
    )


def test_the_broker_goes_away_in_the_middle(
    stream: Stream, worker: Member, servers: Servers
) -> None:
    before = stream.broker_proxy.connections
    servers.kill("broker")
    wait_for(lambda: stream.broker_proxy.connections > before, "that the worker looks for it")
    servers.restart("broker")
    uri = picture(stream, "after.png")
    stream.send(job("after", uri))
    wait_for(lambda: uri in stream.indexed(), "the picture behind the restart")


def test_a_store_that_is_full_for_a_while_loses_nothing(stream: Stream, worker: Member) -> None:
    stream.s3_proxy.arm("503", match=b"PUT /", times=8)
    uri = picture(stream, "patient.png")
    stream.send(job("patient", uri))
    wait_for(lambda: uri in stream.indexed(), "the picture behind 8 refusals")
    assert stream.s3_proxy.fired["503 request"] == 8


def test_a_job_past_its_deadline_is_tried_once(stream: Stream, worker: Member) -> None:
    """Its clock is a day ahead: the deadline, and nothing else, has passed."""
    uri = store_object(stream, "late.png")
    stream.s3_proxy.arm("503", match=b"GET /media/late.png", times=1000)
    try:
        stream.send(job("late", uri, deadline_us=1))
        wait_for(lambda: uri in stream.failures(), "the failure")
    finally:
        stream.s3_proxy.disarm()
    row = stream.failures()[uri]
    assert (row["code"], row["stage"]) == ("store_failed", "consume")
    assert said(worker, "WARNING", "job late: failed")


def test_a_worker_that_asks_a_graph_has_loaded_neither_torch_nor_ray(worker: Member) -> None:
    """By now it has done all that a worker does."""
    loaded = Path(f"/proc/{worker.pid}/maps").read_text()
    assert "libarrow" in loaded, "libraries are seen"
    assert "libtorch" not in loaded
    assert "_raylet" not in loaded


def test_nothing_was_doubled(stream: Stream, worker: Member) -> None:
    indexed = stream.indexed()
    assert len(indexed) == len(set(indexed))
    assert len(stream.rows("answers")) == len(indexed) - 1, "the page of one ended its decoder"


def test_a_topic_that_is_missing(stream: Stream) -> None:
    nowhere = replace(stream.settings, topic="nowhere")
    with pytest.raises(SetupError) as caught:
        Poller(nowhere, Board())
    assert caught.value.code == "topic_missing"
    assert "nowhere" in caught.value.message


@pytest.mark.ci
def test_a_topic_that_was_made_anew_is_never_skipped(
    tmp_path: Path, s3: S3Server, broker: Broker
) -> None:
    stream = Stream(tmp_path, s3, broker, partitions=2)
    try:
        uris = [at_home(stream, f"{n}.png", home) for n, home in enumerate((0, 0, 1))]
        worker = stream.worker()
        for number, (uri, home) in enumerate(zip(uris, (0, 0, 1), strict=True)):
            stream.send(job(str(number), uri), key=key_of(Path(uri)).decode(), partition=home)
        wait_for(lambda: stream.indexed() == sorted(uris), "three pictures")
        assert worker.drain(33) == ""
        stream.remake_topic()
        for number, home in enumerate((0, 1, 1)):
            uri = at_home(stream, f"new {number}.png", home)
            stream.send(job(f"new {number}", uri), key=key_of(Path(uri)).decode(), partition=home)
        worker.start()
        wait_for(lambda: said(worker, "partition 0 stopped", "log_behind_table"), "partition 0")
        wait_for(lambda: said(worker, "partition 1 stopped", "log_replaced"), "partition 1")
        assert all("submit to a topic of a new name" in line for line in said(worker, "stopped"))
        assert worker.running
        assert stream.indexed() == sorted(uris)
    finally:
        stream.close()


def test_only_deadlines_ask_the_clock_on_the_wall() -> None:
    """What a worker decides, it decides by positions and by the monotonic clock."""
    asked = set()
    rooms = ("submit", "topic", "ingest", "lander", "storage")
    files = [path for room in rooms for path in (ROOT / "services" / room).rglob("*.py")]
    files += [ROOT / "services/inspect/lag.py", *(ROOT / "pipeline").rglob("*.py")]
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                called = {one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)}
                if called & {"time", "now", "utcnow", "time_ns", "today"}:
                    asked.add(f"{path.name}:{node.name}")
    assert asked == {
        "slots.py:_is_late",
        "jobs.py:job",  # makes the deadline
        "parquet.py:to_action",  # what files say of their age
        "rows.py:media_row",
        "rows.py:failure_row",
        "lag.py:lag",  # the rate that `status` shows
        "meters.py:landed",  # how old a job is by then
        "positions.py:progress",
        "forget.py:_keep_away",  # says when a medium was forgotten
        "rewrite.py:replace_files",
        "store.py:sweep",  # how old a file is that nothing names
    }

"""The lander as a process beside the workers: rows, health, metrics, and its death."""

import re
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import urllib3
from prometheus_client.parser import text_string_to_metric_families

from services.machine import HOST
from services.stack.ports import Ports
from tests.conftest import CAPTION, FEW, ROOT, run, tables
from tests.streams import Stream, StreamFactory

pytestmark = pytest.mark.ci


class Watched:
    """A stream of a worker and a lander, and where each is watched."""

    def __init__(self, streams: StreamFactory, name: str) -> None:
        with closing(Ports()) as ports:
            self.port, *watch = ports.choose(3)
        self.watch = dict(zip(("worker", "lander"), watch, strict=True))
        lander = f"http://{HOST}:{self.port}"
        self.stream: Stream = streams(name, partitions=1, REELPAGE_LANDER=lander)

    def start(self, name: str, *arguments: str) -> None:
        self.stream.start(name, name, *arguments, REELPAGE_WATCH=f"{HOST}:{self.watch[name]}")

    def start_lander(self) -> None:
        self.start("lander", "--port", str(self.port))

    def asked(self, name: str, path: str) -> urllib3.BaseHTTPResponse:
        url = f"http://{HOST}:{self.watch[name]}{path}"
        return urllib3.request("GET", url, timeout=10, retries=False)

    def wait_until(self, name: str, status: int, patience_s: float = 90.0) -> None:
        give_up = time.monotonic() + patience_s
        while True:
            try:
                if self.asked(name, "/readyz").status == status:
                    return
            except urllib3.exceptions.HTTPError:
                pass  # it starts
            assert time.monotonic() < give_up, self.stream.log(name)
            time.sleep(0.1)

    def metrics(self, name: str) -> dict[str, float]:
        """Sums of samples by name, over all labels."""
        text = self.asked(name, "/metrics").data.decode()
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found[sample.name] = found.get(sample.name, 0.0) + sample.value
        return found


@pytest.fixture
def watched(streams: StreamFactory, request: pytest.FixtureRequest) -> Iterator[Watched]:
    made = Watched(streams, "-".join(request.node.name.split("_")[1:7]))
    yield made
    for name in list(made.stream.processes):
        assert made.stream.end(name) == 0, made.stream.log(name)


def test_rows_land_by_a_lander_that_is_killed_and_started_again(
    watched: Watched, tmp_path: Path
) -> None:
    assert run("index", *FEW, "--to", tmp_path / "calm", *CAPTION).code == 0
    watched.start("worker")
    watched.start_lander()
    stream, killed = watched.stream, 0
    watched.wait_until("worker", 200)
    for path in FEW:
        before, give_up = stream.landed(), time.monotonic() + 120
        stream.submit(path, *CAPTION)
        while stream.landed() == before and killed < 2:
            assert time.monotonic() < give_up, stream.log("worker")
            time.sleep(0.05)
        if killed < 2:
            assert stream.end("lander", signal.SIGKILL) == -signal.SIGKILL
            watched.start_lander()
            killed += 1
    stream.wait()
    assert tables(stream.place) == tables(tmp_path / "calm")
    assert stream.run("verify", stream.location, "--topic").code == 0


def documented(process: str) -> set[str]:
    """Names of docs/metrics.md that a process is said to have."""
    text = (ROOT / "docs" / "metrics.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", text, re.MULTILINE)
    return {name for name, of in rows if of == process}


def test_each_process_has_the_metrics_that_the_document_says_and_no_others(
    watched: Watched,
) -> None:
    watched.start("worker")
    watched.start_lander()
    watched.wait_until("worker", 200)
    watched.wait_until("lander", 200)
    watched.stream.submit(FEW[0], ROOT / "pyproject.toml", *CAPTION)
    watched.stream.wait()
    worker, lander = watched.metrics("worker"), watched.metrics("lander")
    for process, found in (("worker", worker), ("lander", lander)):
        ours = {
            re.sub(r"_(bucket|count|sum)$", "", name)
            for name in found
            if name.startswith("reelpage_") and not name.endswith("_created")
        }
        assert ours == documented(process)
    assert worker["reelpage_jobs_total"] == worker["reelpage_age_seconds_count"] >= 2
    assert worker["reelpage_failures_total"] == 1
    assert worker["reelpage_tokens_total"] > 0
    assert worker["reelpage_lag_jobs"] == 0
    assert lander["reelpage_committed_rows_total"] > 0
    assert lander["reelpage_intents_total"] == lander["reelpage_commit_seconds_count"] > 0
    assert watched.asked("worker", "/healthz").status == 200


def test_a_worker_without_its_lander_waits_and_loses_nothing(watched: Watched) -> None:
    watched.start("worker")
    assert watched.stream.submit(FEW[0], *CAPTION)["sent"] == 1
    watched.wait_until("worker", 503)  # once it has partitions to land from
    assert watched.asked("worker", "/healthz").status == 200
    watched.start_lander()
    watched.stream.wait()
    watched.wait_until("worker", 200)

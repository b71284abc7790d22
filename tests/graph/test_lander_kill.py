"""The lander of the graph is killed while jobs land: the rows are those of one process."""

import os
import signal
import time
from contextlib import closing
from pathlib import Path

import pytest

from services.machine import HOST
from services.stack.ports import Ports
from tests.conftest import CAPTION, FEW, run, tables
from tests.graph.processes import replica
from tests.streams import Stream, StreamFactory

pytestmark = pytest.mark.ci


def next_lander(stream: Stream, before: int | None, patience_s: float = 60.0) -> int:
    """The process of the lander that came behind another one."""
    give_up = time.monotonic() + patience_s
    while (found := replica("Lander", stream.processes["serve"].pid)) in (None, before):
        assert time.monotonic() < give_up, stream.log("serve")
        time.sleep(0.1)
    assert found is not None
    return found


def kill_as_it_lands(stream: Stream, path: Path, killed: int | None) -> int:
    """Kill the lander once the ledger has a part, and perhaps no other table; its process."""
    lander, before, give_up = next_lander(stream, killed), stream.landed(), time.monotonic() + 120
    stream.submit(path, *CAPTION)
    while stream.landed() == before:
        assert time.monotonic() < give_up, stream.log("worker")
        time.sleep(0.05)
    os.kill(lander, signal.SIGKILL)
    return lander


def test_landers_that_are_killed_lose_and_double_nothing(
    streams: StreamFactory, tmp_path: Path
) -> None:
    assert run("index", *FEW, "--to", tmp_path / "calm", *CAPTION).code == 0
    with closing(Ports()) as ports:
        (port,) = ports.choose(1)
    url = f"http://{HOST}:{port}"
    stream = streams("lander-kill", partitions=1, REELPAGE_GRAPH=url)
    stream.start("serve", "serve", "--port", str(port))
    stream.wait_for_graph(url)
    stream.start("worker", "worker")
    killed = None
    for path in FEW:
        killed = kill_as_it_lands(stream, path, killed)
    stream.wait()
    assert tables(stream.place) == tables(tmp_path / "calm")
    assert stream.run("verify", stream.location, "--topic").code == 0
    assert stream.end("worker") == 0
    stream.end("serve")

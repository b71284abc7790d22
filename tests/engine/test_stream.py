"""A stream whose decoder is vLLM, two processes a layer, lands what our own decoder says.

The replicas of the graph, and vLLM's own process, are killed while parts of jobs land.
"""

import json
import os
import signal
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from pipeline.land.place import Place
from pipeline.land.window import is_final
from services.machine import HOST
from services.stack.ports import Ports
from tests.conftest import SAMPLES, run, tables
from tests.graph.processes import REPLICA, titled
from tests.streams import Stream, StreamFactory

pytestmark = pytest.mark.vllm

STAR: Final = "Is there an orange star?"
DISTURBED: Final = (
    (f"{REPLICA}Decoder", "talk.mp4", ("--tasks", "caption,ocr")),
    ("VLLM::EngineCore", "scenes.mkv", ("--tasks", "ocr,segment-caption")),
    (f"{REPLICA}Encoder", "scenes.mkv", ("--tasks", "", "--ask", STAR, "--sample", "2fps")),
)
"""Who is killed while which video of several parts is asked what."""
CALM: Final = ("report.pdf", "signs.pdf", "phone.png", "receipt.jpg")
TASKS: Final = ("--tasks", "caption,ocr")


def told(lake: Path | Place) -> dict[str, list[dict[str, Any]]]:
    """All rows, but for log probabilities, whose last digits differ."""
    found = tables(lake)
    for row in found["answers"]:
        del row["logprob"]
    return found


def kill_as_it_lands(stream: Stream, title: str, path: Path, asked: Sequence[str]) -> None:
    """Submit a video, and kill whoever has the title as soon as a part of it has landed."""
    process = titled(title, stream.processes["serve"].pid)
    before, give_up = stream.landed(), time.monotonic() + 240
    assert process is not None, stream.log("serve")
    stream.submit(path, *asked)
    while stream.landed() == before:
        assert time.monotonic() < give_up, stream.log("serve")
        time.sleep(0.05)
    os.kill(process, signal.SIGKILL)
    assert not is_final(stream.landed()), "the job had landed to its end"


def test_what_lands_is_what_our_own_decoder_says(streams: StreamFactory, tmp_path: Path) -> None:
    calm = tmp_path / "calm"
    for _, name, asked in DISTURBED:
        assert run("index", SAMPLES / name, "--to", calm, *asked).code == 0
    assert run("index", *(SAMPLES / name for name in CALM), "--to", calm, *TASKS).code == 0

    options = tmp_path / "graph.json"
    options.write_text(json.dumps({"engine": "vllm", "tensor_parallel": 2}))
    with closing(Ports()) as ports:
        (port,) = ports.choose(1)
    url = f"http://{HOST}:{port}"
    stream = streams("vllm", partitions=1, REELPAGE_GRAPH=url)
    stream.start("serve", "serve", "--port", str(port), "--config", str(options))
    stream.wait_for_graph(url)
    stream.start("worker", "worker")
    for title, name, asked in DISTURBED:
        kill_as_it_lands(stream, title, SAMPLES / name, asked)
        stream.wait(600)  # so that who is killed next is none that is about to end
    stream.submit(*(SAMPLES / name for name in CALM), *TASKS)
    stream.wait(600)
    assert told(stream.place) == told(calm)
    assert stream.run("verify", stream.location, "--topic").code == 0
    assert stream.end("worker") == 0
    stream.end("serve")

"""Delay of a live stream: from a chunk's acknowledgement by the broker to its rows in the tables.

A camera is played: every 10 s a chunk of MPEG-TS goes to a real broker; a worker with a stub in
the model's place decodes it, keeps its shard in S3 and lands its rows. `media` lands last, so its
row says that all others are there. The tables are looked at every 50 ms.
"""

import statistics
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from deltalake import DeltaTable

from benchmarks.clips import chunk
from benchmarks.common import Report, note, parser, show
from benchmarks.streams import Bench, site
from pipeline.land.tables import is_written, open_table
from schemas.jobs import StreamChunk
from services.ingest.recipe import parse_tasks
from services.submit.jobs import Question, chunk_job
from services.topic.broker import Sender

CHUNK_S: Final = 10
_LOOK_S: Final = 0.05
_PATIENCE_S: Final = 120.0
_WARM: Final = "warm/0"
_QUESTION: Final = Question(parse_tasks("caption", ()))


class Camera:
    """Sends chunks and sees them arrive."""

    def __init__(self, bench: Bench, sender: Sender) -> None:
        self._bench, self._sender = bench, sender
        self._media: DeltaTable | None = None
        self._version = -1
        self._sent: dict[str, float] = {}
        self.delays: dict[str, float] = {}

    def send(self, stream: str, number: int, data: bytes) -> None:
        """Produce one chunk."""
        began_us = round((time.time() - CHUNK_S) * 1_000_000)
        job = chunk_job(StreamChunk(stream, number, began_us), data, _QUESTION)
        self._sender.send([job])
        self._sent[f"{stream}/{number}"] = time.monotonic()

    def look(self) -> None:
        """Note what is new in the tables."""
        if self._media is None:
            if not is_written(self._bench.place, "media"):
                return
            self._media = open_table(self._bench.place, "media")
        self._media.update_incremental()
        if self._media.version() == self._version:
            return
        now, self._version = time.monotonic(), self._media.version()
        found = self._media.to_pyarrow_dataset().to_table(columns=["stream", "chunk_no"])
        names = {f"{row['stream']}/{row['chunk_no']}" for row in found.to_pylist()}
        for name in names - set(self.delays):
            self.delays[name] = now - self._sent[name]

    def wait_until(self, moment: float) -> None:
        """Look at the tables until a moment of the monotonic clock."""
        while time.monotonic() < moment:
            self.look()
            time.sleep(_LOOK_S)

    def wait_for_all(self) -> None:
        """Look until every chunk has arrived.

        Raises:
            TimeoutError: one does not.
        """
        give_up = time.monotonic() + _PATIENCE_S
        while missing := set(self._sent) - set(self.delays):
            if time.monotonic() > give_up:
                message = f"{missing} did not arrive"
                raise TimeoutError(message)
            self.wait_until(time.monotonic() + _LOOK_S)


def measure(count: int, pace_s: float, delay_s: float) -> Report:
    """Delays of `count` chunks, one every `pace_s` seconds."""
    with site() as shared, shared.stream("live") as bench:
        chunks = [_made(shared.folder, number) for number in range(count + 1)]
        bench.start(1, delay_s)
        with closing(Sender(bench.settings)) as sender:
            camera = Camera(bench, sender)
            camera.send("warm", 0, chunks[count])  # makes the tables
            camera.wait_for_all()
            began = time.monotonic()
            for number in range(count):
                camera.wait_until(began + number * pace_s)
                camera.send("camera", number, chunks[number])
            camera.wait_for_all()
    delays = sorted(value for name, value in camera.delays.items() if name != _WARM)
    cuts = statistics.quantiles(delays, n=20, method="inclusive")
    return {
        "chunks": count,
        "pace_s": pace_s,
        "model_s": delay_s,
        "bytes": sum(map(len, chunks)) // len(chunks),
        "p50_s": statistics.median(delays),
        "p95_s": cuts[-1],
        "max_s": delays[-1],
    }


def _made(folder: Path, number: int) -> bytes:
    return chunk(folder / f"{number}.ts", CHUNK_S, number).read_bytes()


def main() -> None:
    """Measure and report."""
    options = parser(__doc__)
    options.add_argument("--minutes", type=float, default=5.0, help="length of the stream")
    options.add_argument("--speed", type=float, default=1.0, help="times real pace")
    options.add_argument("--model-s", type=float, default=0.5, help="seconds of the model a chunk")
    given = options.parse_args()
    count = max(2, round(given.minutes * 60 / CHUNK_S))
    note(f"{count} chunks, one every {CHUNK_S / given.speed:.1f} s")
    found = measure(count, CHUNK_S / given.speed, given.model_s)
    show("live_stream", [found], as_json=given.json)


if __name__ == "__main__":
    main()

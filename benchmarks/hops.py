"""Hops of the stream, Kafka, Serve and lander, with a null model, against the same in-process.

Each hop is the time by which one segment of ten frames is later than without it, median of turns,
one at a time: a job from a producer to a worker's consumer (a list has no delay to speak of); a
question about a shard by HTTP through encoder and decoder in Ray Serve, less the same question to
the same model in this process; a commit by the lander, less one by a committer of this process.
The null model has one layer and answers one token. The share is of what the segment costs a model
of 120 M parameters with one thread, a caption a frame.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import pyarrow as pa
from kafka import TopicPartition

from benchmarks import checkpoints
from benchmarks.clips import chunk
from benchmarks.commits import rows
from benchmarks.common import Report, note, parser, show
from benchmarks.streams import site
from pipeline.decode import DecodePlan, Sampling, decode
from pipeline.land.batch import join_ranges
from pipeline.land.commit import GroupCommitter, Tables
from pipeline.land.lake import open_lake
from pipeline.land.perform import Performer
from pipeline.land.place import Place
from pipeline.land.protocol import Protocol
from pipeline.land.store import ShardStore
from schemas.jobs import Job, MediaReference, Task
from schemas.shards import Shard
from services.ingest.recipe import STANDARD_TASKS
from services.lander.client import LanderClient
from services.model.client import GraphClient
from services.model.in_process import InProcess
from services.stack.ports import Ports
from services.topic.broker import Sender, partitions_of, reader

_NULL: Final = Task("null", "", 1)
_SECRET: Final = "the-secret-of-this-run"
_STARTS_S: Final = 240.0
_MEDIUM: Final = "0" * 64


def median_s(act: Callable[[int], object], turns: int) -> float:
    """Median seconds of one call; two more before them warm everything up."""
    taken = []
    for turn in range(turns + 2):
        started = time.perf_counter()
        act(turn)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken[2:])


def kafka(turns: int) -> Report:
    """From `Sender.send` to the consumer that a worker has."""
    with (
        site() as shared,
        shared.stream("hops") as bench,
        closing(Sender(bench.settings)) as sender,
    ):
        listener = reader(bench.settings)
        places = [TopicPartition("hops", one) for one in partitions_of(listener, bench.settings)]
        listener.assign(places)
        listener.seek_to_beginning()

        def hop(turn: int) -> None:
            job = Job(str(turn), MediaReference("/a/file.mp4"), (_NULL,))
            sender.send([("a", job)])
            while not listener.poll(timeout_ms=10_000):
                pass

        found = median_s(hop, turns)
        listener.close(autocommit=False)
    return row("Kafka", found, 0.0)


def serve(graph: str, name: str, shard: Shard, model: InProcess, turns: int) -> Report:
    """A question about a shard of the lake, over HTTP and in this process."""
    client, revision = GraphClient(graph, _SECRET), model.model().revision
    there = median_s(lambda _: client.answers(name, [_NULL], revision), turns)
    here = median_s(lambda _: model.answers(name, shard, [_NULL], revision), turns)
    return row("Serve", there, here)


def lander(graph: str, place: Place, folder: Path, turns: int) -> Report:
    """A commit of ten rows to a folder, by the lander and by this process."""
    with (
        open_lake(folder / "own") as own,
        GroupCommitter(own, delay_s=0.0) as tables,
    ):
        there = median_s(_landing(LanderClient(graph, place.objects, _SECRET), place), turns)
        here = median_s(_landing(tables, own), turns)
    return row("lander", there, here)


def _landing(tables: Tables, place: Place) -> Callable[[int], object]:
    performer, protocol = Performer(tables, place.objects), Protocol(join_ranges, pa.table({}))
    return lambda turn: performer.run(protocol.append("frames", "hops", turn, rows(turn)))


def row(hop: str, there_s: float, here_s: float) -> Report:
    """What a hop adds, milliseconds."""
    note(f"{hop}: {there_s * 1000:.1f} ms, in-process {here_s * 1000:.1f} ms")
    return {
        "hop": hop,
        "with_ms": round(there_s * 1000, 1),
        "in_process_ms": round(here_s * 1000, 1),
        "hop_ms": round((there_s - here_s) * 1000, 1),
    }


@contextmanager
def graph_of(model: Path, folder: Path, lake: Path) -> Iterator[str]:
    """URL of a graph in processes of its own."""
    ports = Ports()
    (port,) = ports.choose(1)
    ports.close()
    environment = {key: value for key, value in os.environ.items() if key[:9] != "REELPAGE_"} | {
        "REELPAGE_MODEL": str(model),
        "REELPAGE_LAKE": str(lake),
        "REELPAGE_SECRET": _SECRET,
        "REELPAGE_THREADS": "1",
        "RAY_raylet_start_wait_time_s": "120",  # 30 are few beside other work
    }
    log = folder / "graph.log"
    command = [sys.executable, "-P", "-m", "reelpage", "serve", "--port", str(port)]
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environment, cwd=folder, stderr=file, stdout=file)
    try:
        give_up = time.monotonic() + _STARTS_S
        while "the graph answers" not in log.read_text():
            if process.poll() is not None or time.monotonic() > give_up:
                message = f"the graph does not start: {log.read_text()[-2000:]}"
                raise RuntimeError(message)
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def item(path: Path, model: Path, shard: Shard) -> Report:
    """Seconds of captions of the segment's frames, by a model of this process."""
    real = InProcess(model, "cpu", 1)
    caption, revision = [STANDARD_TASKS["caption"]], real.model().revision
    real.load()
    started = time.perf_counter()
    given = real.answers(path.name, shard, caption, revision)
    taken = time.perf_counter() - started
    tokens = sum(one.output_tokens or 0 for (one,) in given)
    note(f"a real item: {len(given)} frames, {tokens} tokens, {taken:.1f} s")
    return {"hop": "none: a real item", "frames": len(given), "tokens": tokens, "item_s": taken}


def measure(folder: Path, turns: int) -> list[Report]:
    """All hops, their sum, and the item that they are compared with."""
    path = chunk(folder / "segment.mp4", 10, 0)
    null, real = checkpoints.null(folder), checkpoints.random(folder)
    (shard,) = (
        one for one in decode(path, DecodePlan(Sampling("rate", 1.0))) if isinstance(one, Shard)
    )
    with open_lake(folder / "lake") as place:
        name = _kept(place, shard)
    with graph_of(null, folder, folder / "lake") as graph:
        model = InProcess(null, "cpu", 1)
        hops = [
            serve(graph, name, shard, model, turns),
            lander(graph, place, folder, turns),
        ]
    hops.append(kafka(turns))
    base = item(path, real, shard)
    total = sum(one["hop_ms"] for one in hops)
    found = [*hops, {"hop": "all", "hop_ms": round(total, 1)}]
    return [one | {"share": one["hop_ms"] / 1000 / base["item_s"]} for one in found] + [base]


def _kept(place: Place, shard: Shard) -> str:
    store = ShardStore(place.objects, _MEDIUM, "0123456789ab")
    return store.name(store.keep(shard).part)


def main() -> None:
    """Run the benchmark."""
    options = parser(__doc__)
    options.add_argument("--turns", type=int, default=100)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="reelpage-") as folder:
        found = measure(Path(folder), chosen.turns)
    show("hops", found, as_json=chosen.json, turns=chosen.turns)


if __name__ == "__main__":
    main()

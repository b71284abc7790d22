"""A 60-minute video by one worker and by two: the job fans out into ranges that they share.

The workers have a stub in the model's place that takes a fixed time a shard (a ten-second
segment), one shard after the other, as a model on one device does. Everything else is real. The
tables of both runs have to be equal, with one row of `media`; two workers have to take less than
0.6 of the time.
"""

import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from benchmarks.clips import slow_clip
from benchmarks.common import Report, note, parser, show
from benchmarks.streams import Bench, Site, site
from pipeline.land.place import Place
from pipeline.query.sql import query
from schemas.errors import ReelpageError
from services.ingest.recipe import parse_tasks
from services.submit.jobs import Question, jobs
from services.topic.broker import Sender

BOUND: Final = 0.6
_PATIENCE_S: Final = 1200.0
_CHANGING: Final = {"run_id", "indexed_at", "latency_us"}
_ORDER: Final = {
    "media": "media_id",
    "segments": "segment_no",
    "frames": "frame_no",
    "answers": "unit_no, task",
}


def run(shared: Site, workers: int, path: Path, delay_s: float) -> tuple[float, dict[str, Any]]:
    """Seconds from the job to the row of `media`, and the rows of all tables."""
    with shared.stream(f"workers-{workers}") as bench:
        bench.start(workers, delay_s)
        began = time.monotonic()
        _submit(bench, path)
        while not query(bench.place, "from media").num_rows:
            if time.monotonic() - began > _PATIENCE_S:
                message = f"{workers} workers are not done after {_PATIENCE_S:.0f} s"
                raise TimeoutError(message)
            time.sleep(0.5)
        taken = time.monotonic() - began
        return taken, {table: _rows(bench.place, table) for table in _ORDER}


def _submit(bench: Bench, path: Path) -> None:
    question = Question(parse_tasks("caption", ()), sample="0.1fps")
    made = [one for one in jobs([str(path)], question, bench.settings)]
    with closing(Sender(bench.settings)) as sender:
        sender.send([one for one in made if not isinstance(one, ReelpageError)])


def _rows(place: Place, table: str) -> list[dict[str, Any]]:
    found = query(place, f"from {table} order by {_ORDER[table]}")
    kept: list[dict[str, Any]] = found.drop_columns(
        [name for name in found.column_names if name in _CHANGING]
    ).to_pylist()
    return kept


def main() -> None:
    """Measure, compare and report."""
    options = parser(__doc__)
    options.add_argument("--minutes", type=int, default=60, help="length of the video")
    options.add_argument("--model-s", type=float, default=0.5, help="seconds of the model a shard")
    given = options.parse_args()
    results: list[Report] = []
    with site() as shared:
        path = slow_clip(shared.folder / f"{given.minutes}-minutes.mp4", given.minutes)
        tables = []
        for workers in (1, 2):
            note(f"{workers} workers")
            taken, found = run(shared, workers, path, given.model_s)
            tables.append(found)
            counts = {table: len(rows) for table, rows in found.items()}
            results.append({"workers": workers, "seconds": taken, **counts})
    ratio = results[1]["seconds"] / results[0]["seconds"]
    equal = tables[0] == tables[1]
    show("two_workers", results, as_json=given.json, ratio=ratio, equal=equal, bound=BOUND)
    if ratio >= BOUND or not equal or len(tables[0]["media"]) != 1:
        sys.exit(1)


if __name__ == "__main__":
    main()

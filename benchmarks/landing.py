"""Landing of 100,000 rows, against writing them with `pyarrow.parquet` alone.

Both write the same answers, zstd, to one file that is synced to the disk. The landing commits it to
a Delta table as well, with its position. Turns alternate, so that both see the same machine.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.common import parser, show
from benchmarks.lookup import answers
from pipeline.land.batch import join_ranges
from pipeline.land.commit import GroupCommitter
from pipeline.land.lake import open_lake
from pipeline.land.perform import Performer
from pipeline.land.protocol import Protocol

ROWS: Final = 100_000
_TURNS: Final = 15
_GOAL: Final = 0.9


def timed(action: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds of wall clock and of CPU."""
    start, cpu = time.perf_counter(), time.process_time()
    action()
    return (time.perf_counter() - start) * 1000, (time.process_time() - cpu) * 1000


def write_alone(rows: pa.Table, path: Path) -> None:
    """The peer."""
    pq.write_table(rows, path, compression="zstd", store_schema=False)
    with path.open("rb") as file:
        os.fsync(file)


def main() -> None:
    """Run the benchmark."""
    options = parser(__doc__)
    options.add_argument("--rows", type=int, default=ROWS)
    chosen = options.parse_args()
    ids = pa.array([f"{number:064x}" for number in range(chosen.rows // 100 + 1)])
    rows = answers(ids, np.arange(chosen.rows), of_each=100)
    with tempfile.TemporaryDirectory(prefix="reelpage-") as folder:
        root = Path(folder)
        with open_lake(root / "lake") as place, GroupCommitter(place, delay_s=0.0) as tables:
            performer, protocol = Performer(tables, place.objects), Protocol(join_ranges, rows[:0])

            def land(turn: int) -> None:
                performer.run(protocol.append("answers", "benchmark", turn, rows))

            land(0)  # makes the table
            pairs = [
                (
                    timed(lambda at=turn: land(at)),  # type: ignore[misc]
                    timed(lambda at=turn: write_alone(rows, root / f"{at}.parquet")),  # type: ignore[misc]
                )
                for turn in range(1, _TURNS + 1)
            ]
    ours, alone = (
        [statistics.median(pair[side][clock] for pair in pairs) for clock in (0, 1)]
        for side in (0, 1)
    )
    found = {
        "rows": chosen.rows,
        "landing_ms": round(ours[0], 1),
        "alone_ms": round(alone[0], 1),
        "speed": round(alone[0] / ours[0], 2),
        "cpu_speed": round(alone[1] / ours[1], 2),
        "goal": _GOAL,
    }
    show("landing", [found], as_json=chosen.json)


if __name__ == "__main__":
    main()

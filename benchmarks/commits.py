"""Latency of 200 commits: `Protocol.append` against `write_deltalake`, both to a local table.

Both append the same ten rows under one application transaction a commit, the peer by URI into a
table with the same checkpoint interval. The peer has no fence and no lock, and it does not wait
for the disk: `Protocol.append` syncs each data file. Turns alternate, so that both see the same
machine.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from benchmarks.common import Report, parser, show
from pipeline.land.batch import join_ranges
from pipeline.land.commit import GroupCommitter
from pipeline.land.lake import open_lake
from pipeline.land.perform import Performer
from pipeline.land.protocol import Protocol
from schemas.tables import FRAMES

COMMITS: Final = 200
_SHOWN: Final = 20
_ROWS: Final = 10
_APP: Final = "benchmark"


def rows(position: int) -> pa.Table:
    """The frames of one part."""
    row = {"media_id": "a" * 64, "sampling": "rate=1", "uri": "/a/file.mp4", "run_id": "benchmark"}
    numbers = range(position * _ROWS, (position + 1) * _ROWS)
    return pa.Table.from_pylist(
        [row | {"frame_no": number, "t_us": number * 1_000_000} for number in numbers],
        schema=FRAMES,
    )


def timed(commit: Callable[[int, pa.Table], object], position: int) -> float:
    """Milliseconds of one commit."""
    table = rows(position)
    start = time.perf_counter()
    commit(position, table)
    return (time.perf_counter() - start) * 1000


def _peer(folder: Path) -> Callable[[int, pa.Table], object]:
    DeltaTable.create(str(folder), FRAMES, configuration={"delta.checkpointInterval": "20"})

    def commit(position: int, table: pa.Table) -> object:
        properties = CommitProperties(app_transactions=[Transaction(_APP, position)])
        return write_deltalake(str(folder), table, mode="append", commit_properties=properties)

    return commit


def summary(who: str, taken: Sequence[float]) -> Report:
    """Medians of the first and last commits, milliseconds, and their ratio."""
    first, last = statistics.median(taken[:_SHOWN]), statistics.median(taken[-_SHOWN:])
    return {
        "writer": who,
        "first_p50_ms": round(first, 2),
        "last_p50_ms": round(last, 2),
        "last_to_first": round(last / first, 2),
        "p95_ms": round(statistics.quantiles(taken, n=20)[-1], 2),
    }


def main() -> None:
    """Run the benchmark."""
    options = parser(__doc__)
    options.add_argument("--commits", type=int, default=COMMITS)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="reelpage-") as folder:
        peer = _peer(Path(folder) / "peer")
        with (
            open_lake(Path(folder) / "lake") as place,
            GroupCommitter(place, delay_s=0.0) as tables,
        ):
            performer = Performer(tables, place.objects)
            protocol = Protocol(join_ranges, pa.table({}))

            def land(position: int, table: pa.Table) -> None:
                performer.run(protocol.append("frames", _APP, position, table))

            pairs = [(timed(land, at), timed(peer, at)) for at in range(chosen.commits)]
            held = tables.look("frames", [_APP], reload=True)[_APP]
    if held != chosen.commits - 1:
        message = f"the lake holds position {held} after {chosen.commits} commits"
        raise RuntimeError(message)
    ours, theirs = ([pair[side] for pair in pairs] for side in (0, 1))
    found = [summary("Protocol.append", ours), summary("write_deltalake by URI", theirs)]
    ratios = {
        key: round(found[0][f"{key}_p50_ms"] / found[1][f"{key}_p50_ms"], 2)
        for key in ("first", "last")
    }
    show("commits", found, as_json=chosen.json, commits=chosen.commits, ours_to_peer=ratios)


if __name__ == "__main__":
    main()

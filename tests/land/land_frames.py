"""A process that lands one frame a batch, as a worker does its parts, and says so.

python -m tests.land.land_frames LAKE APP STOP RUN [bypass]

With `bypass` it takes no lock, and begins anew whatever has landed.
"""

import secrets
import sys
from contextlib import nullcontext
from pathlib import Path

from pipeline.land.commit import GroupCommitter
from pipeline.land.lake import open_lake
from pipeline.land.perform import Performer
from pipeline.land.place import Place
from pipeline.land.protocol import Batch
from pipeline.land.rows import to_table
from pipeline.land.store import local_place
from pipeline.land.window import position_of
from tests.tables import PROTOCOL


def batch(app: str, part: int, run: str) -> Batch:
    """The frame of one part of the job at offset 0."""
    row = {"media_id": app, "sampling": "s", "frame_no": part, "run_id": run}
    before = position_of(0, part - 1, final=False) if part else None
    last = position_of(0, part, final=False)
    number = secrets.randbelow(2**63 - 1) + 1
    return Batch(app, before, last, number, {"frames": to_table("frames", [row])})


def land(place: Place, app: str, stop: int, run: str) -> None:
    """Land frames behind the last one that is there, up to a number."""
    with GroupCommitter(place, 0) as tables:
        worker = Performer(tables, place.objects)
        print("ready", flush=True)  # noqa: T201 - to the parent
        sys.stdin.readline()
        resumed = worker.run(PROTOCOL.resume(app))
        first = 0 if resumed is None else resumed.position + 1
        for part in range(first, stop):
            while not worker.run(PROTOCOL.land(batch(app, part, run))):
                rival = worker.run(PROTOCOL.resume(app))
                if rival is not None and rival.position >= part:
                    break
            print(part, flush=True)  # noqa: T201 - to the parent


def main(lake: str, app: str, stop: str, run: str, *options: str) -> None:
    """Land into a folder."""
    root = Path(lake)
    alone = nullcontext(local_place(root)) if "bypass" in options else open_lake(root)
    with alone as place:
        land(place, app, int(stop), run)


if __name__ == "__main__":
    main(*sys.argv[1:])

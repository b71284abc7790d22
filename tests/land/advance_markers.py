"""A process that advances one column of a medium while others advance theirs.

python -m tests.land.advance_markers LAKE NAME COLUMN COUNT

Before each step it tries to be the first to store one more object, and prints where it was.
"""

import sys

from pipeline.land.commit import GroupCommitter
from pipeline.land.perform import Performer
from pipeline.land.protocol import Advance, Marker
from schemas.errors import TransientError
from services.settings import Settings
from services.storage.places import open_place


def advance(worker: Performer, marker: Marker) -> None:
    """Store a marker, as a landing that is tried again until it ends."""
    while True:
        try:
            return worker.run(step for step in [Advance(marker.name, (marker,))])
        except TransientError:
            continue


def main(lake: str, name: str, column: str, count: str) -> None:
    """Advance to a count of parts, one by one."""
    place = open_place(lake, Settings.from_environment())
    with GroupCommitter(place, 0) as tables:
        worker = Performer(tables, place.objects)
        print("ready", flush=True)  # noqa: T201 - to the parent
        sys.stdin.readline()
        for part in range(1, int(count) + 1):
            if place.objects.replace(f"first/{part}", column.encode(), ""):
                print(part, flush=True)  # noqa: T201 - to the parent
            advance(worker, Marker(name, column, "partial", part))


if __name__ == "__main__":
    main(*sys.argv[1:])

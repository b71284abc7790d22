"""Controls: what must fail, which shows that the simulator can see."""

from functools import partial
from typing import Final

from pipeline.land.place import Objects
from pipeline.land.protocol import (
    Advance,
    Batch,
    Commit,
    Get,
    Look,
    Protocol,
    Put,
    Resumed,
    Steps,
    record_name,
)
from schemas.errors import TransientError
from services.ingest.claims import claim
from services.ingest.keys import Claim
from tests.simulation.results import join_ranges
from tests.simulation.world import TABLES

CONTROLS: Final = ("uri", "unlocked", "independent", "waiting", "back", "unclaimed")
"""`uri`: our protocol, but each commit goes through a handle opened after the check.

`unlocked`: a lander whose handle a look may bring up to date between a check and its write.
`waiting`: a job for which there is no room waits in its slot, and nobody makes room.
`back`: markers are stored whatever is there.
`unclaimed`: a medium is worked on under whatever key it comes.
"""


def claim_of(control: str, objects: Objects) -> Claim:
    """How workers claim media."""
    return (lambda _, key: key) if control == "unclaimed" else partial(claim, objects)


def protocol_of(control: str) -> Protocol:
    """The protocol that workers follow."""
    kind = Independent if control == "independent" else Protocol
    return kind(join_ranges, [])


class Independent(Protocol):
    """`independent`: nothing decides; every table checks and writes for itself, a part at a time.

    A table in which a position is there already is skipped, for that table alone; work goes on
    from the smallest position. It is exact as long as two attempts at a part give the same. If
    one fails and the other does not, their outcomes mix: some seeds end with a failure and with
    rows in all tables but one. (Markers go before the last commit: without a record nobody could
    write them after a crash.)
    """

    def land(self, batch: Batch) -> Steps[bool]:
        """Commit to each table in turn; markers before the last one."""
        yield Put(record_name(batch.app, batch.last), batch)
        for table in TABLES:
            if table == TABLES[-1]:
                for letter in batch.letters:
                    yield Put(letter.name, letter)
                for marker in batch.markers:
                    yield Advance(marker.name, (marker,))
                for part in batch.ranges:
                    yield from self._finish(part)
            if not (yield from self._own(table, batch)):
                return False
        return True

    def resume(self, app: str) -> Steps[Resumed | None]:
        """The smallest of the tables' positions."""
        positions = []
        for table in TABLES:
            positions.append((yield Look(table, (app,), reload=True))[app])
        if None in positions:
            return None
        landed: Batch = yield Get(record_name(app, min(positions)))
        return Resumed(landed.last, landed.last_key)

    def _own(self, table: str, batch: Batch) -> Steps[bool]:
        for attempt in range(8):
            seen = (yield Look(table, (batch.app,), reload=attempt > 0))[batch.app]
            if seen is not None and seen >= batch.last:
                return True
            if seen != batch.before:
                return False
            rows = batch.rows.get(table, [])
            if (yield Commit(table, {batch.app: batch.last}, rows)):
                return True
        raise TransientError("commit_conflict", table)

"""Settle: what others had decided to land before this worker came, landed to its end."""

from pipeline.land.perform import Performer
from pipeline.land.place import Objects
from pipeline.land.protocol import RECORDS, Protocol


def settle(objects: Objects, performer: Performer, protocol: Protocol, group: str) -> None:
    """Roll forward the last decision of every partition of other groups.

    Their markers say after this how far each medium is, so that this group can go on with it.

    Args:
        objects: of the lake.
        performer: of the protocol's effects.
        protocol: of landing.
        group: what the application ids of this worker's own partitions begin with; these are
            resumed when they are assigned.

    Raises:
        TransientError, SetupError: what `Protocol.resume` raises.
    """
    names = (name.removeprefix(RECORDS) for name in objects.names(RECORDS))
    for app in sorted({name.rpartition("/")[0] for name in names}):
        if not app.startswith(f"{group}/"):
            performer.run(protocol.resume(app))

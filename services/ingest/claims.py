"""Claims: the key under which all work on a medium is done: the first one under which it came.

Two workers know nothing of each other, so all work on a medium has to be in one partition, and a
key leads to one. Whoever sends an object of a store cannot know its content, and gives the job the
key of its address. The worker that has fetched it claims the medium for that key, and goes on with
what it has; what comes under another key is sent on. `claims/<media id>` holds the key.
"""

from pipeline.land.place import Objects
from pipeline.land.store import CLAIMS


def claim(objects: Objects, media_id: str, key: str) -> str:
    """Claim a medium for a key.

    Returns:
        The key for which it is claimed, from now on or from before.

    Raises:
        TransientError: `store_failed`; it may be claimed or not.
    """
    name = CLAIMS + media_id
    while not objects.replace(name, key.encode(), ""):
        if (held := objects.get(name)) is not None:
            return held.decode()
    return key

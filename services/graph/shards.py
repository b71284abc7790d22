"""Shards: those of the lake, by the names that questions give."""

import re
from typing import Final

from pipeline.land.place import Objects
from schemas.errors import InputError
from schemas.shards import Shard

_SHARD: Final = re.compile(r"shards/[\w-]+/[\w-]+/[\w-]+/\d+\.arrow")


def shard_of(objects: Objects, name: str) -> Shard:
    """Get a shard from the lake.

    Raises:
        InputError: `not_found` or `corrupt`.
        TransientError, SetupError: what the store raises.
    """
    data = objects.get(name) if _SHARD.fullmatch(name) else None
    if data is None:
        message = f"{name!r}: the lake has no such shard"
        raise InputError("not_found", message)
    try:
        return Shard.from_ipc(data)
    except ValueError as error:
        message = f"{name!r}: cannot be read ({error})"
        raise InputError("corrupt", message) from error

"""Kept: features of a shard's pictures, beside the shard, so that a new question encodes nothing.

An object holds those of all pictures, or of the clip, that a model was shown. Its name has the
model's revision; it is removed with the medium, as all below the folder of its shards.
"""

import json
from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from pipeline.land.place import Objects
from schemas.errors import InputError
from schemas.features import Features
from schemas.shards import Shard
from services.model.asking import Seen

_SEEN: Final = b"reelpage.seen"


class KeptFeatures:
    """The features that a lake has of one model's tower."""

    def __init__(self, objects: Objects, revision: str, *, writes: bool) -> None:
        """Read what is there; `writes` says whether to keep more."""
        self._objects, self._revision, self._writes = objects, revision, writes

    def get(self, name: str, shard: Shard, as_clip: bool) -> tuple[Seen, list[Features]] | None:
        """What a model was shown of a shard; None if it is not kept, or of other pictures."""
        data = self._objects.get(self._name(name, as_clip))
        if data is None:
            return None
        try:
            table = pa.ipc.open_file(pa.py_buffer(data)).read_all()
            seen = json.loads((table.schema.metadata or {})[_SEEN])
            if seen["units"] != _units(shard):
                return None
            features = [Features.from_ipc(one) for one in table["features"].to_pylist()]
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, InputError):
            return None  # damaged: they are made again
        return Seen(seen["like"], table["unit"].to_pylist()), features

    def put(
        self, name: str, shard: Shard, as_clip: bool, seen: Seen, features: Sequence[Features]
    ) -> None:
        """Keep them, if that was asked for.

        Raises:
            TransientError, SetupError: what the store raises.
        """
        if not self._writes:
            return
        facts = {"like": list(seen.like), "units": _units(shard)}
        schema = pa.schema(
            {"unit": pa.int32(), "features": pa.binary()}, metadata={_SEEN: json.dumps(facts)}
        )
        columns = [list(seen.asked), [one.to_ipc() for one in features]]
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, schema) as writer:
            writer.write_table(pa.table(columns, schema=schema))
        self._objects.put(self._name(name, as_clip), bytes(sink.getvalue()))

    def _name(self, name: str, as_clip: bool) -> str:
        kind = "clip" if as_clip else "pictures"
        return f"{name.removesuffix('.arrow')}.{kind}-{self._revision}.features"


def _units(shard: Shard) -> list[int]:
    """Numbers of the pictures: a shard of pages may have grown since."""
    column = "frame_no" if "frame_no" in shard.rows.schema.names else "page_no"
    numbers: list[int] = shard.rows.column(column).to_pylist()
    return numbers

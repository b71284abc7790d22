"""Batch: what the units of jobs gave, in one partition's order, as one landing."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from pipeline.land.protocol import Batch, Letter, Marker, Range
from pipeline.land.rows import Medium, media_row, to_table
from pipeline.land.window import Done
from schemas.jobs import StreamChunk
from schemas.shards import info_from_json


@dataclass(frozen=True)
class Unit:
    """What one unit of a job gave: its rows and, if it is the last one, what follows from the end.

    Attributes:
        rows: by table; tables without rows are left out.
        final: whether the job ends here.
        markers: what has become of the job's work, one a column.
        ranges: the medium whose range ends here, if it is one of several.
        letters: dead letters.
    """

    rows: dict[str, pa.Table] = field(default_factory=dict)
    final: bool = False
    markers: tuple[Marker, ...] = ()
    ranges: tuple[Range, ...] = ()
    letters: tuple[Letter, ...] = ()

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return sum(int(rows.nbytes) for rows in self.rows.values())


def batch_of(
    app: str, before: int | None, run: Sequence[Done[tuple[str, Unit]]], number: int
) -> Batch:
    """A run of done units as one landing.

    Args:
        app: `{group}/{topic}/{partition}`.
        before: the position that it continues.
        run: units with the mark of their record, in order.
        number: random; see `Batch`.
    """
    units = [done.item[1] for done in run]
    names = dict.fromkeys(name for unit in units for name in unit.rows)
    return Batch(
        app=app,
        before=before,
        last=run[-1].position,
        number=number,
        rows={
            name: pa.concat_tables([unit.rows[name] for unit in units if name in unit.rows])
            for name in names
        },
        markers=tuple(marker for unit in units for marker in unit.markers),
        ranges=tuple(one for unit in units for one in unit.ranges),
        letters=tuple(letter for unit in units for letter in unit.letters),
        last_key=run[-1].item[0],
    )


def join_ranges(markers: Sequence[Marker]) -> pa.Table:
    """The row of `media` from the markers of all its ranges, in order; see `facts_of`."""
    first = markers[0].facts
    chunk = first.get("chunk")
    row = media_row(
        Medium(**first["medium"]),
        info_from_json(first["info"]),
        first["name"],
        first["size"],
        sum(marker.facts["parts"] for marker in markers),
        sum(marker.facts["pictures"] for marker in markers),
        None if chunk is None else StreamChunk(**chunk),
    )
    return to_table("media", [row])

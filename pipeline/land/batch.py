"""Batch: what the parts of jobs gave, in one partition's order, as one landing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pyarrow as pa

from pipeline.land.protocol import Batch, Letter, Marker, Range
from pipeline.land.rows import Medium, Row, media_row, to_table
from pipeline.land.window import Done
from schemas.jobs import StreamChunk
from schemas.shards import MediaWarning, info_from_json

Outcome = Literal["", "indexed", "skipped", "failed", "known_failure", "sent_on"]


@dataclass(frozen=True)
class Part:
    """What one part of a job gave and, if it is the last one, what follows from the end.

    Attributes:
        rows: by table, as lists of rows or, once sealed, as Arrow tables; none is empty.
        outcome: of the job, if it ends here; else empty.
        markers: how far its columns are with it.
        ranges: the medium whose range ends here, if it is one of several.
        letters: dead letters.
        pictures: how many it had, for those who watch.
        share: of the medium that it is, 0 to 1, by the medium's declared length.
    """

    rows: Mapping[str, Any] = field(default_factory=dict)
    outcome: Outcome = ""
    markers: tuple[Marker, ...] = ()
    ranges: tuple[Range, ...] = ()
    letters: tuple[Letter, ...] = ()
    pictures: int = 0
    share: float = 0.0

    @property
    def final(self) -> bool:
        """Whether the job ends here."""
        return bool(self.outcome)

    def sealed(self) -> "Part":
        """The part with its rows as Arrow tables.

        Raises:
            pyarrow.ArrowException, ValueError, TypeError, OverflowError: a value does not fit its
                column.
        """
        return replace(self, rows={name: to_table(name, rows) for name, rows in self.rows.items()})

    def plus(self, more: "Part") -> "Part":
        """This part with another one's rows, markers and letters behind its own; not sealed."""
        rows = {
            name: [*self.rows.get(name, ()), *more.rows.get(name, ())]
            for name in dict.fromkeys((*self.rows, *more.rows))
        }
        markers, letters = (*self.markers, *more.markers), (*self.letters, *more.letters)
        return replace(self, rows=rows, markers=markers, letters=letters)

    @property
    def size(self) -> int:
        """Bytes in memory of a sealed part."""
        return sum(int(rows.nbytes) for rows in self.rows.values())


def batch_of(
    app: str, before: int | None, run: Sequence[Done[tuple[str, Part]]], number: int
) -> Batch:
    """A run of sealed parts as one landing.

    Args:
        app: `{group}/{topic}/{partition}`.
        before: the position that it continues.
        run: parts with the mark of their record, in order.
        number: random; see `Batch`.
    """
    parts = [done.item[1] for done in run]
    names = dict.fromkeys(name for part in parts for name in part.rows)
    return Batch(
        app=app,
        before=before,
        last=run[-1].position,
        number=number,
        rows={
            name: pa.concat_tables([part.rows[name] for part in parts if name in part.rows])
            for name in names
        },
        markers=latest(parts),
        ranges=tuple(one for part in parts for one in part.ranges),
        letters=tuple(letter for part in parts for letter in part.letters),
        last_key=run[-1].item[0],
    )


def latest(parts: Sequence[Part]) -> tuple[Marker, ...]:
    """The last marker of each column: those before it say less."""
    found = {(one.name, one.column): one for part in parts for one in part.markers}
    return tuple(found.values())


def join_ranges(markers: Sequence[Marker]) -> pa.Table:
    """The sealed row of `media` from the structure markers of all its ranges, in order."""
    return to_table("media", [media_of(markers)])


def media_of(markers: Sequence[Marker]) -> Row:
    """The row of `media` from the structure markers of all its ranges, in order."""
    first = markers[0].facts
    chunk = first.get("chunk")
    return media_row(
        Medium(**first["medium"]),
        info_from_json(first["info"]),
        first["name"],
        first["size"],
        sum(marker.facts["parts"] for marker in markers),
        sum(marker.facts["pictures"] for marker in markers),
        [MediaWarning(*one) for marker in markers for one in marker.facts.get("warnings", ())],
        None if chunk is None else StreamChunk(**chunk),
    )

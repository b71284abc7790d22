"""Results: parts and batches whose rows stay lists; the real ones are Arrow tables."""

from collections.abc import Generator, Sequence
from typing import Any, Final

from pipeline.land.batch import Part, latest, media_of
from pipeline.land.protocol import Batch, Marker
from pipeline.land.window import Done
from schemas.errors import ReelpageError
from services.ingest.keys import FanOut
from services.ingest.partition import Marked
from services.ingest.work import Work
from tests.simulation.world import Row

_ROW_BYTES: Final = 100


class Plain(Part):
    """A part that is never sealed."""

    @classmethod
    def of(cls, part: Part) -> "Plain":
        return cls(**vars(part))

    def sealed(self) -> Part:
        return self

    @property
    def size(self) -> int:
        return sum(_ROW_BYTES * len(rows) for rows in self.rows.values())


class PlainWork(Work):
    """The real work on a job."""

    def parts(self) -> Generator[Part | FanOut]:
        for made in super().parts():
            yield made if isinstance(made, FanOut) else Plain.of(made)

    def failure(self, error: ReelpageError) -> Part | FanOut:
        made = super().failure(error)
        return made if isinstance(made, FanOut) else Plain.of(made)


def batch_of(app: str, before: int | None, run: Sequence[Done[Marked]], number: int) -> Batch:
    """What `pipeline.land.batch.batch_of` makes of sealed parts."""
    parts = [done.item[1] for done in run]
    rows: dict[str, list[Row]] = {}
    for part in parts:
        for table, more in part.rows.items():
            rows.setdefault(table, []).extend(_listed(more))
    return Batch(
        app=app,
        before=before,
        last=run[-1].position,
        number=number,
        rows=rows,
        markers=latest(parts),
        ranges=tuple(one for part in parts for one in part.ranges),
        letters=tuple(letter for part in parts for letter in part.letters),
        last_key=run[-1].item[0],
    )


def join_ranges(markers: Sequence[Marker]) -> list[Row]:
    """The row of `media` from the structure markers of all its ranges."""
    return [media_of(markers)]


def _listed(rows: Any) -> list[Row]:  # noqa: ANN401
    """Rows of a part; that of a record that is no job is sealed."""
    listed: list[Row] = rows if isinstance(rows, list) else rows.to_pylist()
    return listed

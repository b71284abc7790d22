"""Results: what a unit of work gave, and the batch that a run of them makes."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pipeline.land.protocol import FOLLOWERS, LEDGER, Batch, Letter, Marker, Range
from pipeline.land.window import Done, is_final
from tests.simulation.world import Job, Row, app_of


@dataclass(frozen=True)
class Result:
    """What a unit gave: rows, or the failure that ends its job.

    Attributes:
        job: it belongs to.
        unit: number within the job.
        held: columns that the job is still to make rows of, with the units that have theirs
            already, from an earlier attempt.
        failed: whether this unit could not be made.
    """

    job: Job
    unit: int
    held: dict[str, int]
    failed: bool = False

    def rows(self) -> dict[str, list[Row]]:
        place = (self.job.media, self.job.first + self.unit)
        if self.failed:
            failure = (*self.job.key.split("/"), self.unit, tuple(self.held), self.job.attempt)
            return {LEDGER: [failure]}
        rows: dict[str, list[Row]] = {}
        new = [column for column, units in self.held.items() if units <= self.unit]
        if "structure" in new:
            rows = {"segments": [place], "frames": [place]}
        if asked := [(*place, task) for task in new if task != "structure"]:
            rows["answers"] = asked
        return rows

    def markers(self) -> list[Marker]:
        """What is left of the job, if this unit is its last."""
        job = self.job
        outcome: Literal["indexed", "failed"] = "failed" if self.failed else "indexed"
        return [
            Marker(
                marker_name(job.key, column),
                outcome,
                max(units, self.unit) if self.failed else self.unit + 1,
                {"media": job.media, "units": self.unit + 1},
                job.attempt,
            )
            for column, units in self.held.items()
        ]


def media_row(markers: Iterable[Marker]) -> list[Row]:
    facts = [marker.facts for marker in markers]
    return [(facts[0]["media"], sum(fact["units"] for fact in facts))]


def batch_of(partition: int, before: int | None, run: list[Done[Result]], number: int) -> Batch:
    rows: dict[str, list[Row]] = {}
    markers: list[Marker] = []
    ranges: list[Range] = []
    letters: list[Letter] = []
    for done in run:
        result = done.item
        for table, more in result.rows().items():
            rows.setdefault(table, []).extend(more)
        if not is_final(done.position) or not result.held:
            continue
        job = result.job
        markers += result.markers()
        if result.failed:
            letters.append(Letter(letter_name(job.key, job.attempt), {"unit": result.unit}))
        elif "structure" in result.held:
            if job.part == "whole":
                rows.setdefault("media", []).append((job.media, result.unit + 1))
            else:
                names = tuple(marker_name(f"{job.media}/{part}", "structure") for part in job.parts)
                ranges.append(Range(f"media/{job.media}", names))
    assert set(rows) <= {LEDGER, *FOLLOWERS}
    last = run[-1]
    return Batch(
        app_of(partition),
        before,
        last.position,
        number,
        rows,
        tuple(markers),
        tuple(ranges),
        last.item.job.mark,
        tuple(letters),
    )


def marker_name(key: str, column: str) -> str:
    return f"markers/{key}/{column}"


def letter_name(key: str, attempt: int) -> str:
    return f"dead/{key}/{attempt}"

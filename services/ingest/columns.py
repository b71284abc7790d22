"""Columns: what a job makes rows of, structure and each prompt, and what became of it before.

Each column of a medium, or of a range of it, has a marker that is written when a job ends. So the
same work that is sent again is found done, and another prompt over the same medium lands alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from pipeline.land.protocol import Marker, Range
from schemas.jobs import Job, Task, UnitRange
from services.ingest.recipe import Recipe

WHOLE: Final = UnitRange(0, 100_000)
"""All parts that a medium may have."""


@dataclass(frozen=True)
class Column:
    """One column of a medium.

    Attributes:
        marker: name of its marker.
        first: part from which on its rows are missing.
        task: prompt, or None for structure.
    """

    marker: str
    first: int
    task: Task | None = None


@dataclass(frozen=True)
class Columns:
    """The columns that a job still has to make.

    Attributes:
        span: parts of the medium that the job is about.
        missing: structure first; empty if nothing is left to do.
        known_failure: whether that is because an earlier attempt has recorded a failure.
    """

    span: UnitRange
    missing: tuple[Column, ...]
    known_failure: bool = False

    @property
    def first(self) -> int:
        """The first part of which anything is missing."""
        return min((column.first for column in self.missing), default=self.span.start)

    @property
    def structure(self) -> Column | None:
        """The column of structure, if it is missing."""
        return next((column for column in self.missing if column.task is None), None)

    def tasks(self, part: int) -> tuple[Task, ...]:
        """The prompts whose answers about a part are missing."""
        return tuple(one.task for one in self.missing if one.task and part >= one.first)

    def markers(
        self,
        outcome: Literal["indexed", "failed"],
        parts: int,
        facts: Mapping[str, Any],
        attempt: int,
    ) -> tuple[Marker, ...]:
        """What to write when the job ends with `parts` of its span landed."""
        return tuple(
            Marker(one.marker, outcome, max(parts, one.first - self.span.start), facts, attempt)
            for one in self.missing
        )


def look_up(
    read: Callable[[str], Marker | None], job: Job, media_id: str, recipe: Recipe
) -> Columns:
    """Find out by their markers which columns of a job are missing.

    A failure of a lower attempt is work again, from the part on that failed.

    Args:
        read: reads a marker, or gives None.
        job: what was asked.
        media_id: sha256 of the medium's content.
        recipe: sampling, model and tasks of the job.
    """
    span = job.range or WHOLE
    tasks: tuple[Task | None, ...] = (None, *job.tasks)
    missing = []
    for task in tasks:
        column = Column(marker_name(media_id, recipe, span, task), span.start, task)
        marker = read(column.marker)
        if marker is not None and marker.outcome == "indexed":
            continue
        if marker is not None:
            if marker.attempt >= job.attempt:
                return Columns(span, (), known_failure=True)
            column = replace(column, first=span.start + marker.units)
        missing.append(column)
    return Columns(span, tuple(missing))


def range_of(job: Job, media_id: str, recipe: Recipe) -> tuple[Range, ...]:
    """The medium that may become whole with this job, if it is one of several."""
    if not job.ranges:
        return ()
    names = tuple(marker_name(media_id, recipe, span, None) for span in job.ranges)
    return (Range(f"media/{media_id}/{recipe.sampling}", names),)


def marker_name(media_id: str, recipe: Recipe, span: UnitRange, task: Task | None) -> str:
    """Name of a column's marker: `markers/<media id>/<sampling id>/<span>/<column>.json`."""
    part = "whole" if span == WHOLE else f"{span.start}-{span.stop}"
    column = "structure" if task is None else f"{recipe.revision}-{task.prompt_id}"
    return f"markers/{media_id}/{recipe.sampling_id}/{part}/{column}.json"

"""Columns: what a job makes rows of, structure and each prompt, and how far that has landed.

Each column of a medium, or of a range of it, has a marker, and those of one medium or range are one
object. So the same work that is sent again is found done, another prompt over the same medium lands
alone, and what was interrupted goes on from where it stopped, whoever goes on with it.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from pipeline.land.protocol import STRUCTURE, Marker, Markers, Range
from pipeline.recognise import revision as recognised_by
from schemas.jobs import PARTS, TEXT, Job, PartRange, Task
from schemas.shards import MediaInfo, MediaWarning, info_from_json
from services.ingest.recipe import Recipe

WHOLE: Final = PartRange(0, PARTS)
"""All parts that a medium may have."""

ReadMarkers = Callable[[str], Markers]
"""Reads the markers of an object by its name; empty if there is none."""


@dataclass(frozen=True)
class Column:
    """One column of a medium.

    Attributes:
        name: of its marker.
        first: part from which on its rows are missing.
        task: prompt, or None for structure.
    """

    name: str
    first: int
    task: Task | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """What its markers say beside how far it is."""
        return {} if self.task is None else {"task": asdict(self.task)}


@dataclass(frozen=True)
class Columns:
    """The columns that a job still has to make.

    Attributes:
        name: of the object of their markers.
        span: parts of the medium that the job is about.
        missing: structure first; empty if nothing is left to do.
        known_failure: whether that is because an earlier attempt has recorded a failure.
        attempt: the job's, or a higher one that has begun what is missing: markers go on from it.
        pictures: in the parts whose structure has landed.
        warnings: about these.
        kept: parts of the span whose shards are kept, because its structure has landed whole; for
            a job of pages, because it has landed so far ...
        info: ... and then the facts of the medium.
        asked: for a job of pages, the prompts of the document with the parts that have answers.
        absent: pages that have failed, and have no rows even where a shard holds them by now.
    """

    name: str
    span: PartRange
    missing: tuple[Column, ...]
    known_failure: bool = False
    attempt: int = 0
    pictures: int = 0
    warnings: tuple[MediaWarning, ...] = ()
    kept: int = 0
    info: MediaInfo | None = None
    asked: tuple[tuple[Task, int], ...] = ()
    absent: frozenset[int] = frozenset()

    @property
    def first(self) -> int:
        """The first part of which anything is missing."""
        return min((column.first for column in self.missing), default=self.span.start)

    @property
    def done(self) -> tuple[int, int]:
        """Parts of the span that need no work, and pictures in those with structure."""
        return self.first - self.span.start, self.pictures

    @property
    def structure(self) -> Column | None:
        """The column of structure, if it is missing."""
        return next((column for column in self.missing if column.task is None), None)

    def tasks(self, part: int) -> tuple[Task, ...]:
        """The prompts whose answers about a part are missing."""
        return tuple(one.task for one in self.missing if one.task and part >= one.first)

    def markers(
        self,
        outcome: Literal["partial", "indexed", "failed"],
        parts: int,
        facts: Mapping[str, Any],
        attempt: int,
    ) -> tuple[Marker, ...]:
        """What is true once `parts` of the span have landed; `facts` are those of structure."""
        return tuple(
            Marker(
                self.name,
                one.name,
                outcome,
                max(parts, one.first - self.span.start),
                one.facts | (dict(facts) if one.task is None else {}),
                attempt,
            )
            for one in self.missing
        )


def look_up(read: ReadMarkers, job: Job, media_id: str, recipe: Recipe) -> Columns:
    """Find out by their markers which columns of a job are missing.

    A failure of a lower attempt is work again, from the part on that failed.

    Args:
        read: reads markers.
        job: what was asked.
        media_id: sha256 of the medium's content.
        recipe: sampling, model and tasks of the job.
    """
    span = job.range or WHOLE
    name = markers_name(media_id, recipe, span)
    markers = read(name)
    structure = markers.get(STRUCTURE)
    attempt, missing = job.attempt, []
    for task in (None, *job.tasks):
        column = column_name(recipe, task)
        marker = markers.get(column)
        if marker is None:
            missing.append(Column(column, span.start, task))
        elif marker.outcome == "failed" and marker.attempt >= job.attempt:
            return Columns(name, span, (), known_failure=True)
        elif marker.outcome != "indexed":
            attempt = max(attempt, marker.attempt)
            missing.append(Column(column, span.start + marker.parts, task))
    if structure is None:
        return Columns(name, span, tuple(missing), attempt=attempt)
    info = _info(structure)
    pages = read(pages_name(media_id, recipe)) if missing and job.range is None else {}
    return Columns(
        name,
        span,
        tuple(missing),
        attempt=attempt,
        pictures=structure.facts.get("pictures", 0),
        warnings=tuple(MediaWarning(*one) for one in structure.facts.get("warnings", ())),
        kept=0 if info is None else structure.parts,
        info=info,
        absent=frozenset(int(page) for page, one in pages.items() if one.outcome != "indexed"),
    )


def look_up_pages(read: ReadMarkers, job: Job, media_id: str, recipe: Recipe) -> Columns:
    """The same for a job of single pages: each of them is a column.

    They are asked what the rest of their part has been asked, whatever stands in the job: a prompt
    that has not come so far finds them in their shard.
    """
    name = pages_name(media_id, recipe)
    markers = read(name)
    done = {
        page
        for page, marker in markers.items()
        if marker.outcome == "indexed" or marker.attempt >= job.attempt
    }
    left = [str(page) for page in job.pages if str(page) not in done]
    document = read(markers_name(media_id, recipe, WHOLE))
    structure = document.get(STRUCTURE)
    by = (f"{recipe.revision}-", f"{recognised_by()}-")
    asked = [one for name, one in document.items() if name.startswith(by)]
    known = [markers[str(page)] for page in job.pages if str(page) in done]
    return Columns(
        name,
        WHOLE,
        tuple(Column(page, 0) for page in left),
        known_failure=not left and any(marker.outcome == "failed" for marker in known),
        attempt=job.attempt,
        kept=0 if structure is None else structure.parts,
        asked=tuple((Task(**one.facts["task"]), one.parts) for one in asked),
    )


def _info(structure: Marker) -> MediaInfo | None:
    """The medium's facts, once all its structure has landed."""
    return info_from_json(structure.facts["info"]) if structure.outcome == "indexed" else None


def range_of(job: Job, media_id: str, recipe: Recipe) -> tuple[Range, ...]:
    """The medium that may become whole with this job, if it is one of several."""
    if not job.ranges:
        return ()
    names = tuple(markers_name(media_id, recipe, span) for span in job.ranges)
    return (Range(f"media/{media_id}/{recipe.sampling}", names),)


def markers_name(media_id: str, recipe: Recipe, span: PartRange) -> str:
    """Name of the object of a span's markers: `markers/<media id>/<sampling id>/<span>.json`."""
    part = "whole" if span == WHOLE else f"{span.start}-{span.stop}"
    return f"markers/{media_id}/{recipe.sampling_id}/{part}.json"


def pages_name(media_id: str, recipe: Recipe) -> str:
    """Name of the object of the markers of a document's pages that have failed."""
    return f"markers/{media_id}/{recipe.sampling_id}/pages.json"


def column_name(recipe: Recipe, task: Task | None) -> str:
    """Name of a column: structure, or what answers a prompt, and the prompt."""
    if task is None:
        return STRUCTURE
    return f"{recognised_by() if task == TEXT else recipe.revision}-{task.prompt_id}"

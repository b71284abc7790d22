"""Letters: what failed, whether it has been mended since, and how it is tried again."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.land.place import Objects
from pipeline.land.protocol import Letter
from pipeline.land.records import markers_of
from schemas.errors import ReelpageError, SetupError
from schemas.jobs import Job


@dataclass(frozen=True)
class DeadLetter:
    """A job that failed.

    Attributes:
        name: of its object.
        key: of its record.
        job: as it came, or for a page that failed alone, about this page.
        columns: objects and columns of the markers of what it left undone.
    """

    name: str
    key: str
    job: Job
    columns: tuple[tuple[str, str], ...]

    @property
    def again(self) -> tuple[str, Job]:
        """The job that goes on from what failed, with its key. It is the same one every time."""
        return self.key, replace(self.job, attempt=self.job.attempt + 1)


def letter_name(
    input_id: str, recipe: str, attempt: int, page_no: int = 0, first: int | None = None
) -> str:
    """Name of the dead letter's object, of a page or of the range that begins with a part.

    It is made of what no two rows of `failures` share.
    """
    unit = f"-page-{page_no}" if page_no else ""
    unit = unit if first is None else f"-range-{first}"
    return f"dead/{input_id}/{recipe}-{attempt}{unit}.json"


def letter(
    name: str, key: str, job: Job, columns: Sequence[tuple[str, str]], facts: Mapping[str, Any]
) -> Letter:
    """The letter of a job; `facts` are for those who read it."""
    value = {"job": job.to_json(), "key": key, "columns": [list(one) for one in columns]}
    return Letter(name, value | dict(facts))


def letter_of(objects: Objects, failure: Mapping[str, Any]) -> DeadLetter | None:
    """The dead letter of a row of `failures`, or None: a record that was no job has none.

    Raises:
        SetupError: `lake_corrupt`, if it cannot be read.
    """
    unit, number = failure["unit"], failure["unit_no"]
    place = (number if unit == "page" else 0, number if unit == "range" else None)
    name = letter_name(failure["input_id"], failure["recipe"], failure["attempt"], *place)
    data = objects.get(name)
    if data is None:
        return None
    try:
        value = json.loads(data)
        columns = tuple((name, column) for name, column in value["columns"])
        return DeadLetter(name, value["key"], Job.from_json(value["job"]), columns)
    except (ValueError, KeyError, TypeError, ReelpageError) as error:
        message = f"{name}: is damaged ({error!r}); delete it, and submit its medium again"
        raise SetupError("lake_corrupt", message) from error


def is_mended(objects: Objects, one: DeadLetter) -> bool:
    """Whether all that a failed job left undone has landed since."""
    return bool(one.columns) and all(_is_indexed(objects, *column) for column in one.columns)


def _is_indexed(objects: Objects, name: str, column: str) -> bool:
    data = objects.get(name)
    marker = None if data is None else markers_of(name, data).get(column)
    return marker is not None and marker.outcome == "indexed"

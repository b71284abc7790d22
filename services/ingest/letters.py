"""Letters: what failed in a stream, whether it has been mended since, and how it is sent again."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipeline.land.place import Objects
from pipeline.land.protocol import Marker
from pipeline.land.records import from_bytes
from schemas.errors import SetupError
from schemas.jobs import Job


@dataclass(frozen=True)
class DeadLetter:
    """A job that failed.

    Attributes:
        key: of its record.
        job: as it came.
        markers: names of the markers of what it left undone.
    """

    key: str
    job: Job
    markers: tuple[str, ...]

    @property
    def again(self) -> tuple[str, Job]:
        """The job that goes on from what failed, with its key. It is the same one every time."""
        return self.key, replace(self.job, attempt=self.job.attempt + 1)


def letter_name(input_id: str, job_id: str, attempt: int) -> str:
    """Name of the dead letter's object."""
    return f"dead/{input_id}/{job_id}-{attempt}.json"


def letter_of(objects: Objects, failure: Mapping[str, Any]) -> DeadLetter | None:
    """The dead letter of a row of `failures`, or None: pages and runs of one process have none.

    Raises:
        SetupError: `lake_corrupt`, if it cannot be read.
    """
    if failure["unit"] == "page":
        return None
    name = letter_name(failure["input_id"], failure["run_id"], failure["attempt"])
    data = objects.get(name)
    if data is None:
        return None
    try:
        value = json.loads(data)
        job = Job.from_json(value["job"])
        return DeadLetter(value["key"], job, tuple(value["markers"]))
    except (ValueError, KeyError, TypeError) as error:
        message = f"{name}: is damaged ({error!r}); delete it, and submit its medium again"
        raise SetupError("lake_corrupt", message) from error


def is_mended(objects: Objects, failure: Mapping[str, Any]) -> bool:
    """Whether all that a failed job left undone has landed since."""
    letter = letter_of(objects, failure)
    return letter is not None and all(_is_indexed(objects, name) for name in letter.markers)


def replays(
    objects: Objects, failures: Iterable[Mapping[str, Any]]
) -> Iterator[tuple[str, Job] | None]:
    """For each failure its job with the next attempt and its key, or None if there is no letter."""
    for failure in failures:
        letter = letter_of(objects, failure)
        yield None if letter is None else letter.again


def _is_indexed(objects: Objects, name: str) -> bool:
    data = objects.get(name)
    if data is None:
        return False
    marker = from_bytes(data)
    return isinstance(marker, Marker) and marker.outcome == "indexed"

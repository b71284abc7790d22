"""Failures: those that nothing has mended since, and the jobs that try them again."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

import pyarrow as pa

from pipeline.land.place import Objects, Place
from pipeline.query.sql import query
from schemas.jobs import Job
from services.ingest.letters import is_mended, letter_of

_OPEN: Final = """
select f.* from failures f
where not exists (
    select 1 from failures later
    where later.input_id = f.input_id and later.unit = f.unit and later.unit_no = f.unit_no
      and (later.recipe = f.recipe or f.unit = 'page') and later.attempt > f.attempt)
  and (f.unit = 'page' or not exists (
    select 1 from media m where m.uri = f.uri and m.indexed_at > f.failed_at))
  and (f.unit <> 'page' or not exists (
    select 1 from pages p where p.media_id = f.input_id and p.page_no = f.unit_no
      and p.sampling = f.sampling))
order by f.failed_at, f.uri, f.unit_no
"""


def open_failures(place: Place, where: str = "true") -> pa.Table:
    """Failures that no later attempt has mended and that fit an SQL condition.

    Raises:
        SetupError: `bad_query`; `lake_corrupt` for a damaged letter.
    """
    found = query(place, f"with open as ({_OPEN}) from open where {where}")
    open_ = [not _is_mended(place.objects, row) for row in found.to_pylist()]
    return found.filter(pa.array(open_, pa.bool_()))


def retries(
    place: Place, failures: Iterable[Mapping[str, Any]]
) -> tuple[list[tuple[str, Job]], int]:
    """Jobs with their keys that try failures again, and how many failures have none.

    Pages of one document that failed in one attempt are one job.

    Raises:
        SetupError: `lake_corrupt`, for a damaged letter.
    """
    jobs: dict[tuple[str, Job], set[int]] = {}
    left = 0
    for failure in failures:
        letter = letter_of(place.objects, failure)
        if letter is None:
            left += 1
            continue
        key, job = letter.again
        if job.pages:
            jobs.setdefault((key, replace(job, pages=())), set()).update(job.pages)
        else:
            jobs.setdefault((key, job), set())
    return [(key, replace(job, pages=tuple(sorted(p)))) for (key, job), p in jobs.items()], left


def _is_mended(objects: Objects, failure: Mapping[str, Any]) -> bool:
    letter = letter_of(objects, failure)
    return letter is not None and is_mended(objects, letter)

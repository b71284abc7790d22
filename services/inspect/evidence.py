"""Evidence: what the jobs of a topic asked for, and what the tables hold, as keys to compare."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.land.place import Place
from pipeline.query.sql import query
from schemas.errors import InputError
from schemas.jobs import Job
from services.ingest.keys import identity
from services.ingest.recipe import parse_plan
from services.ingest.work import read_job
from services.topic.record import Record

Key = tuple[str, str]
"""Media id, and the first word of its sampling, such as "rate=1"."""


@dataclass(frozen=True)
class Asked:
    """What a record says, without its payload: a topic may hold more bytes than memory does.

    Attributes:
        partition: where the record is.
        offset: where in it.
        mark: of the record.
        job: None if it is no job.
        media_id: of the medium. A record whose sender could not know it tells another; then the
            same job comes again under its media id.
    """

    partition: int
    offset: int
    mark: str
    job: Job | None
    media_id: str = ""

    @classmethod
    def of(cls, record: Record) -> "Asked":
        """Read a record."""
        at = (record.partition, record.offset)
        try:
            job = read_job(record.value)
        except InputError:
            return cls(*at, record.mark, None)
        media_id = record.key.partition("/")[0]
        if job.chunk is not None:
            media_id = identity(job, _digest(job.payload or ""))
        bare = Job(job.id, job.media, job.tasks, job.range, sample=job.sample)
        return cls(*at, record.mark, bare, media_id)


@dataclass(frozen=True)
class Have:
    """What the tables hold.

    Attributes:
        media: finished media, with the addresses and jobs that they came by.
        by_uri: the same, by address and sampling.
        ranges: jobs of ranges of a video that rows came from.
        uris: of failures.
        failed: inputs with a failure.
        asked: media and prompts that have answers.
        pictures: media with a picture.
        samplings: of the media, in full.
    """

    media: Mapping[Key, tuple[str, str]]
    by_uri: Mapping[Key, Key]
    ranges: frozenset[str]
    uris: frozenset[str]
    failed: frozenset[str]
    asked: frozenset[tuple[Key, str]]
    pictures: frozenset[Key]
    samplings: Mapping[Key, str]

    @classmethod
    def read(cls, place: Place) -> "Have":
        """Read keys of all tables."""
        key = "media_id, string_split(sampling, ' ')[1] how"
        pictures = f"select {key} from frames union select {key} from pages"
        media = _rows(place, f"select {key}, sampling, uri, run_id from media")
        answers = _rows(place, f"select distinct {key}, prompt_id from answers")
        failures = _rows(place, "select input_id, uri from failures")
        return cls(
            media={_key(row): (row["uri"], row["run_id"]) for row in media},
            by_uri={(row["uri"], row["how"]): _key(row) for row in media},
            ranges=frozenset(row["run_id"] for row in _rows(place, _RANGES)),
            uris=frozenset(row["uri"] for row in failures),
            failed=frozenset(row["input_id"] for row in failures),
            asked=frozenset((_key(row), row["prompt_id"]) for row in answers),
            pictures=frozenset(_key(row) for row in _rows(place, pictures)),
            samplings={_key(row): row["sampling"] for row in media},
        )


_RANGES = """
    select run_id from segments where contains(run_id, '/') union
    select run_id from lines where contains(run_id, '/') union
    select run_id from answers where contains(run_id, '/')"""


def how(job: Job) -> str:
    """The first word of a job's sampling."""
    sampling = parse_plan(job.sample).sampling
    return f"{sampling.mode}={sampling.value:g}"


def _key(row: Mapping[str, Any]) -> Key:
    return row["media_id"], row["how"]


def _rows(place: Place, sql: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = query(place, sql).to_pylist()
    return rows


def _digest(payload: str) -> str:
    try:
        return hashlib.sha256(base64.b64decode(payload, validate=True)).hexdigest()
    except ValueError:
        return ""  # its failure says so

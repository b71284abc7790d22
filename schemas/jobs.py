"""Job: one medium and what to do with it; the value of a Kafka record, as JSON, version 1.

The record's key is the media id, so that the same medium always comes to the same partition; a
range of a long video adds its first segment to the key, so that several workers share it.

May change: optional fields may be added. Never: a rename, another type, a field that becomes
required. `frozen/job.v1.json` is compared with this module by a test.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from schemas.errors import InputError

JOB_VERSION: Final = 1
_LATEST_US: Final = 1 << 53  # in the year 2255


@dataclass(frozen=True)
class MediaReference:
    """Where a medium's bytes are: a whole object, or a byte range of one.

    Attributes:
        uri: path, file://, https:// or s3:// address; the name alone of an inline payload.
        offset: first byte.
        length: bytes, or None to the end.
        etag: version of the object, or None if unknown.
    """

    uri: str
    offset: int = 0
    length: int | None = None
    etag: str | None = None


@dataclass(frozen=True)
class Task:
    """One prompt that every frame or page is asked.

    Attributes:
        name: column value in `answers`, such as "caption".
        prompt: the text after the image.
        max_new_tokens: bound of the answer's length, in tokens.
    """

    name: str
    prompt: str
    max_new_tokens: int = 128

    @property
    def prompt_id(self) -> str:
        """Identity of the prompt: 12 hex digits over all that shapes its answer."""
        text = f"{self.name}\0{self.prompt}\0{self.max_new_tokens}"
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class UnitRange:
    """Units `[start, stop)` of a medium: segments of a video or pages (from 0) of a document."""

    start: int
    stop: int


@dataclass(frozen=True)
class StreamChunk:
    """A self-contained piece of a live stream: MPEG-TS or fragmented MP4.

    Attributes:
        stream: name of the stream; the record's key.
        sequence: number of the chunk, from 0 without gaps.
        start_us: when its first frame was recorded, UTC microseconds.
    """

    stream: str
    sequence: int
    start_us: int


@dataclass(frozen=True)
class Job:
    """One medium and the tasks to run on it.

    Attributes:
        id: identity of the job, deterministic for the same work.
        media: where the bytes are.
        tasks: prompts for every unit.
        range: part of the medium, or None for all of it.
        deadline_us: UTC microseconds after which it is not retried, or None.
        trace: W3C trace context, or None.
        sample: how frames are chosen, as `reelpage index --sample` takes it.
        payload: the medium itself, base64, instead of bytes at `media.uri`.
        ranges: all parts of the medium, if this is one of several jobs that land as one medium.
        chunk: place in a live stream, if it is a piece of one.
        attempt: 0, or how often the same work has failed before this job.
    """

    id: str
    media: MediaReference
    tasks: tuple[Task, ...] = field(default_factory=tuple)
    range: UnitRange | None = None
    deadline_us: int | None = None
    trace: str | None = None
    sample: str = "1fps"
    payload: str | None = field(default=None, repr=False)
    ranges: tuple[UnitRange, ...] = ()
    chunk: StreamChunk | None = None
    attempt: int = 0

    def to_json(self) -> str:
        """Return the job as one line of JSON."""
        return json.dumps({"version": JOB_VERSION, **asdict(self)}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Job":
        """Read a job from JSON.

        Raises:
            InputError: `bad_job`, if the text is no JSON, of a newer version, or lacks a field.
        """
        try:
            value = json.loads(text)
            version = value.pop("version")
            if version != JOB_VERSION:
                message = f"job has version {version}, this reelpage reads {JOB_VERSION}: upgrade"
                raise InputError("bad_job", message)
            return _job_of(value)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            message = f"job does not follow the contract, version {JOB_VERSION}: {error!r}"
            raise InputError("bad_job", message) from error


def _job_of(value: dict[str, Any]) -> Job:
    known = set(Job.__dataclass_fields__)
    if extra := set(value) - known:
        message = f"job has unknown fields {sorted(extra)}"
        raise InputError("bad_job", message)
    span, chunk = value.pop("range", None), value.pop("chunk", None)
    job = Job(
        media=MediaReference(**value.pop("media")),
        tasks=tuple(Task(**task) for task in value.pop("tasks", ())),
        range=None if span is None else UnitRange(**span),
        ranges=tuple(UnitRange(**one) for one in value.pop("ranges", ())),
        chunk=None if chunk is None else StreamChunk(**chunk),
        **value,
    )
    if job.range is not None and job.ranges and job.range not in job.ranges:
        message = f"job is of {job.range}, which is none of its ranges"
        raise InputError("bad_job", message)
    if job.chunk is not None and not 0 <= job.chunk.start_us < _LATEST_US:
        message = f"chunk was recorded at {job.chunk.start_us}, which is no UTC microseconds"
        raise InputError("bad_job", message)
    return job

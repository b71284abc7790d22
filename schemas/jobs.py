"""Job: one medium and what to do with it; the value of a Kafka record, as JSON, version 1.

The record's key is the media id, so that the same medium always comes to the same partition; a
range of a long video adds its first segment to the key, so that several workers share it.

May change: optional fields may be added. Never: a rename, another type, a field that becomes
required. `frozen/job.v1.json` is compared with this module by a test.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from typing import Final

from schemas.contract import parse, read
from schemas.errors import InputError

JOB_VERSION: Final = 1
PARTS: Final = 100_000
"""Parts that a medium has at the most; a range that ends there is open at its end."""

TASKS: Final = 64
"""Prompts that a job has at the most ..."""
ANSWER_TOKENS: Final = 4096
"""... and tokens of the answer to one ..."""
PROMPT: Final = 32_768
"""... and characters of one."""
NAME: Final = 256
"""Characters of a prompt's name at the most."""

PICTURE: Final = "picture"
SEGMENT: Final = "segment"
UNITS: Final = (PICTURE, SEGMENT)
"""What a prompt is about: each frame or page, or each segment of a video, as a clip."""

_LATEST_US: Final = 1 << 53  # in the year 2255
_LAST_PAGE: Final = (1 << 31) - 1  # what the tables count to
_ATTEMPTS: Final = 1_000_000
_MESSAGE: Final = 1_000
_SUBTITLES: Final = 64
_TEXT: Final = 1 << 16  # characters of an address, a name or a prompt


@dataclass(frozen=True)
class MediaReference:
    """Where a medium's bytes are: a whole object, or a byte range of one.

    Attributes:
        uri: path, file://, https:// or s3:// address; the name alone of an inline payload.
        offset: first byte.
        length: bytes, or None to the end.
        etag: version of the object, or None if unknown.
        member: name within the archive at `uri`; with a length, the bytes are the range alone, and
            without one they are unpacked.
        subtitles: addresses of subtitle files that go with it.
    """

    uri: str
    offset: int = 0
    length: int | None = None
    etag: str | None = None
    member: str | None = None
    subtitles: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """What names the medium in the tables: `archive.tar!name` for a member."""
        return self.uri if self.member is None else f"{self.uri}!{self.member}"


@dataclass(frozen=True)
class Task:
    """One prompt that every unit of a medium is asked.

    Attributes:
        name: column value in `answers`, such as "caption".
        prompt: the text after the image or clip.
        max_new_tokens: bound of the answer's length, in tokens.
        unit: one of `UNITS`.
    """

    name: str
    prompt: str
    max_new_tokens: int = 128
    unit: str = PICTURE

    @property
    def prompt_id(self) -> str:
        """Identity of the prompt: 12 hex digits over all that shapes its answer."""
        text = f"{self.name}\0{self.prompt}\0{self.max_new_tokens}"
        if self.unit != PICTURE:  # which had no name at first
            text += f"\0{self.unit}"
        return hashlib.sha256(text.encode()).hexdigest()[:12]


TEXT: Final = Task("text", "", 1)
"""All lines of text, by the recogniser; no model is prompted for them."""


def prompts_of(tasks: Iterable[Task]) -> list[Task]:
    """What of some tasks a model is prompted for: all but `TEXT`."""
    return [task for task in tasks if task != TEXT]


@dataclass(frozen=True)
class PartRange:
    """Parts `[start, stop)` of a medium."""

    start: int
    stop: int


@dataclass(frozen=True)
class StreamChunk:
    """A self-contained piece of a live stream: MPEG-TS or fragmented MP4.

    Attributes:
        stream: name of the stream; the record's key.
        sequence: number of the chunk, from 0 without gaps.
        start_us: when its first moment was recorded, UTC microseconds.
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
        pages: only these pages, from 1, of a document that has landed without them.
    """

    id: str
    media: MediaReference
    tasks: tuple[Task, ...] = field(default_factory=tuple)
    range: PartRange | None = None
    deadline_us: int | None = None
    trace: str | None = None
    sample: str = "1fps"
    payload: str | None = field(default=None, repr=False)
    ranges: tuple[PartRange, ...] = ()
    chunk: StreamChunk | None = None
    attempt: int = 0
    pages: tuple[int, ...] = ()

    def to_json(self) -> str:
        """Return the job as one line of JSON."""
        return json.dumps({"version": JOB_VERSION, **asdict(self)}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Job":
        """Read a job from JSON; a task that stands in it twice is asked once.

        Raises:
            InputError: `bad_job`, if anything in it is not what the contract says.
        """
        try:
            value = parse(text)
            if not isinstance(value, dict):
                message = "a JSON object is expected"
                raise ValueError(message)
            version = value.pop("version", None)
            if type(version) is not int or version != JOB_VERSION:
                message = f"it has version {version!r}, this reelpage reads {JOB_VERSION}: upgrade"
                raise ValueError(message)
            job = read(cls, value, "job")
            for problem in _problems(job):
                raise ValueError(problem)
        except ValueError as error:
            message = f"does not follow the contract of jobs, version {JOB_VERSION}: {error}"
            raise InputError("bad_job", message[:_MESSAGE]) from error
        return replace(job, tasks=tuple(dict.fromkeys(job.tasks)))


def _problems(job: Job) -> Iterator[str]:
    """What no type says: bounds, and what fits together."""
    texts = [job.id, job.media.uri, job.sample, job.trace or "", job.media.etag or ""]
    texts += [job.media.member or "", *job.media.subtitles]
    if not job.id or not job.media.uri or any(len(text) > _TEXT for text in texts):
        yield f"id and address have 1 to {_TEXT} characters, and no text has more"
    if job.media.offset < 0 or (job.media.length or 0) < 0:
        yield "offset and length of the medium are not negative"
    if len(job.media.subtitles) > _SUBTITLES:
        yield f"a medium has at most {_SUBTITLES} subtitle files"
    if len(job.tasks) > TASKS or not all(map(is_askable, job.tasks)):
        yield (
            f"there are at most {TASKS} tasks, each with a name of 1 to {NAME} characters, "
            f"a prompt of at most {PROMPT}, 1 to {ANSWER_TOKENS} new tokens "
            f"and a unit of {', '.join(UNITS)}"
        )
    if not 0 <= job.attempt <= _ATTEMPTS:
        yield f"attempt is 0 to {_ATTEMPTS}"
    if any(not 0 < page <= _LAST_PAGE for page in job.pages):
        yield f"pages are numbers from 1 to {_LAST_PAGE}"
    if len(set(job.pages)) < len(job.pages):
        yield "each page is named once"
    yield from _range_problems(job)
    yield from _chunk_problems(job)


def is_askable(task: Task) -> bool:
    """Whether a model takes a prompt, whoever asks."""
    named, short = 0 < len(task.name) <= NAME, len(task.prompt) <= PROMPT
    return named and short and 0 < task.max_new_tokens <= ANSWER_TOKENS and task.unit in UNITS


def _range_problems(job: Job) -> Iterator[str]:
    spans = job.ranges or ((job.range,) if job.range else ())
    if not all(0 <= span.start < span.stop <= PARTS for span in spans):
        yield f"a range has 0 <= start < stop <= {PARTS}"
    if any(one.stop != next_.start for one, next_ in pairwise(spans)):
        yield "ranges follow one another without gaps"
    if job.ranges and (job.ranges[0].start, job.ranges[-1].stop) != (0, PARTS):
        yield f"ranges begin at 0 and end at {PARTS}, which leaves the end open"
    if job.range is not None and job.range not in spans:
        yield "the job's range is one of its ranges"
    if (job.ranges and job.range is None) or (job.pages and job.range is not None):
        yield "a job of ranges is of one of them, and a job of pages has no range"


def _chunk_problems(job: Job) -> Iterator[str]:
    if job.chunk is None:
        return
    if not job.chunk.stream or len(job.chunk.stream) > _TEXT:
        yield "a chunk names its stream"
    if job.chunk.sequence < 0 or not 0 <= job.chunk.start_us < _LATEST_US:
        yield "a chunk has a number from 0 and a time in UTC microseconds"

"""Submit: files, folders, URLs and objects as jobs on the topic."""

import base64
import hashlib
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pipeline.consume import (
    ARCHIVES,
    MEDIA_SUFFIXES,
    Input,
    find_files,
    is_archive,
    kind_of,
    open_input,
    subtitles_beside,
    with_subtitles,
)
from pipeline.decode import DecodePlan, decode
from schemas.errors import InputError, ReelpageError, SetupError
from schemas.jobs import Job, MediaReference, StreamChunk, Task
from schemas.shards import MediaInfo
from services.ingest.archives import members, members_of
from services.ingest.keys import key_at
from services.ingest.recipe import parse_sampling
from services.ingest.sources import address, referred
from services.ingest.texts import texts_of
from services.settings import Settings
from services.storage.objects import listing, opened
from services.submit.sent import Sent
from services.topic.broker import Sender

_AT_ONCE: Final = 200
_EVERY_S: Final = 1.0
_ERRORS: Final = 100
_INLINE: Final = 14 << 20  # bytes; as base64 below what a record may have
_MICRO: Final = 1_000_000

Made = tuple[str, Job] | ReelpageError
"""A job with its key, or why an input became none."""


@dataclass(frozen=True)
class Question:
    """What every job of a submission asks.

    Attributes:
        tasks: prompts.
        sample: as `reelpage index --sample` takes it.
        deadline_s: seconds from now after which nothing is retried, or None.
    """

    tasks: tuple[Task, ...]
    sample: str = "1fps"
    deadline_s: float | None = None

    def job(
        self,
        version: str,
        media: MediaReference,
        *,
        chunk: StreamChunk | None = None,
        payload: str = "",
    ) -> Job:
        """The job for one version of a medium; the same work has the same id."""
        parts = [
            version,
            media.address,
            self.sample,
            *sorted(task.prompt_id for task in self.tasks),
        ]
        late = None
        if self.deadline_s is not None:
            late = round((time.time() + self.deadline_s) * _MICRO)
        return Job(
            id=hashlib.sha256("\0".join(parts).encode(errors="replace")).hexdigest()[:16],
            media=media,
            tasks=self.tasks,
            sample=self.sample,
            deadline_us=late,
            payload=payload or None,
            chunk=chunk,
        )


@dataclass
class Submission:
    """How a submission goes.

    Attributes:
        sent: the jobs that the broker has.
        failed: inputs that became no job.
        errors: code and message of the first ones of them.
    """

    sent: Sent = field(default_factory=Sent)
    failed: int = 0
    errors: list[tuple[str, str]] = field(default_factory=list)

    def refuse(self, error: ReelpageError) -> None:
        """Count an input that became no job."""
        self.failed += 1
        if len(self.errors) < _ERRORS:
            self.errors.append((error.code, error.message))


def jobs(
    arguments: Iterable[str],
    question: Question,
    settings: Settings,
    ignored: Counter[str] | None = None,
) -> Iterator[Made]:
    """Jobs with their keys; what cannot become one comes as its error.

    Args:
        arguments: files, folders and addresses.
        question: what to ask.
        settings: where objects are.
        ignored: counts what is passed over in folders and buckets; see `find_files`.
    """
    ignored = Counter() if ignored is None else ignored
    for argument in arguments:
        scheme = urlsplit(argument).scheme
        if scheme == "s3":
            yield from _objects(argument, question, settings, ignored)
        elif scheme in ("http", "https"):
            media = MediaReference(argument)
            yield key_at(media), question.job("", media)
        else:
            yield from _files(Path(argument.removeprefix("file://")), question, ignored)


def chunk_jobs(
    files: Sequence[Path], stream: str, first: int, question: Question, start_us: int | None = None
) -> Iterator[Made]:
    """Files as consecutive chunks of a live stream, each with its bytes inside the job.

    Args:
        files: in the order of their recording.
        stream: name of the stream.
        first: number of the first chunk.
        question: what to ask.
        start_us: when the first chunk's first frame was recorded, UTC microseconds; the others
            follow without a gap. None if each file was written while it was recorded: then it
            ended when the file was last changed.
    """
    for number, path in enumerate(files, start=first):
        source = open_input(path)
        if source.error is not None:
            yield source.error
            continue
        length_us = _length_us(path)
        began_us = start_us
        if began_us is None:
            began_us = max(path.stat().st_mtime_ns // 1000 - length_us, 0)
        else:
            start_us = began_us + length_us
        try:
            yield chunk_job(StreamChunk(stream, number, began_us), path.read_bytes(), question)
        except InputError as error:
            yield error


def chunk_job(chunk: StreamChunk, data: bytes, question: Question) -> tuple[str, Job]:
    """One chunk of a live stream as a job with its key, for producers of their own.

    Args:
        chunk: its place in the stream.
        data: a whole MPEG-TS or fragmented MP4 file that begins with a key frame.
        question: what to ask.

    Raises:
        InputError: `too_large`.
    """
    media = MediaReference(f"stream:{chunk.stream}/{chunk.sequence}")
    if len(data) > _INLINE:
        message = f"{media.uri}: {len(data)} bytes are too many for a chunk; cut shorter ones"
        raise InputError("too_large", message)
    payload = base64.b64encode(data).decode()
    key = hashlib.sha256(data).hexdigest()
    return chunk.stream, question.job(key, media, chunk=chunk, payload=payload)


def send(made: Iterable[Made], sender: Sender, submission: Submission) -> Iterator[None]:
    """Send jobs while they are made: the first at once, then what a second brings together.

    Yields:
        Whenever the submission has changed.

    Raises:
        TransientError: `broker_failed`; the same command again sends the rest, and what was sent
            twice is indexed once.
    """
    waiting: list[tuple[str, Job]] = []
    due = 0.0
    for one in made:
        if isinstance(one, ReelpageError):
            submission.refuse(one)
            yield
            continue
        waiting.append(one)
        # Inline payloads are large: they go one by one.
        is_full = len(waiting) >= _AT_ONCE or one[1].payload is not None
        if is_full or time.monotonic() >= due:
            submission.sent.add(sender.send(waiting), waiting)
            waiting, due = [], time.monotonic() + _EVERY_S
            yield
    submission.sent.add(sender.send(waiting), waiting)
    yield


def _files(path: Path, question: Question, ignored: Counter[str]) -> Iterator[Made]:
    for found in find_files([path], ignored):
        if not isinstance(found, Input) and is_archive(found):
            yield from _members(found, question, ignored)
            continue
        if isinstance(found, Input):
            source, media = found, MediaReference(found.uri)
        else:
            media, texts = referred(found), texts_of(subtitles_beside(found))
            source = with_subtitles(open_input(found), texts)
        if source.error is not None and source.error.code == "empty_directory":
            yield source.error
        else:  # also what cannot be read here: a worker elsewhere may, or records the failure
            yield source.input_id, question.job(source.input_id, media)


def _members(path: Path, question: Question, ignored: Counter[str]) -> Iterator[Made]:
    found = members(path, address(path), ignored)
    yield from _from_archive(found, str(path.stat().st_mtime_ns), question, etag=None)


def _from_archive(
    found: Iterable[MediaReference | Input], version: str, question: Question, etag: str | None
) -> Iterator[Made]:
    """A job for each medium in an archive; its worker finds out what is in it."""
    for one in found:
        if isinstance(one, Input):
            assert one.error is not None
            yield one.error
        else:
            media = replace(one, etag=etag)
            yield key_at(media), question.job(_digest(f"{one.address}\0{version}"), media)


def _objects(
    uri: str, question: Question, settings: Settings, ignored: Counter[str]
) -> Iterator[Made]:
    found = False
    try:
        for name, etag, size in listing(settings, uri):
            if Path(name).suffix.lower() in ARCHIVES:
                found = True
                yield from _in_object(name, etag, size, question, settings, ignored)
            elif Path(name).suffix.lower() in MEDIA_SUFFIXES:
                found = True
                media = MediaReference(name, etag=etag)
                yield key_at(media), question.job(key_at(media), media)
            else:
                ignored[kind_of(name)] += 1
    except (InputError, SetupError) as error:  # the other arguments are none the worse for it
        yield error
        return
    if not found:
        message = f"{uri}: there are no media below it; check bucket and prefix"
        yield InputError("empty_directory", message)


def _in_object(
    uri: str, etag: str, size: int, question: Question, settings: Settings, ignored: Counter[str]
) -> Iterator[Made]:
    """A job for each medium in an archive in a store, of which only what names them is read."""
    try:
        with opened(settings, uri, etag, size) as archive:
            yield from _from_archive(members_of(archive, uri, ignored), etag, question, etag)
    except InputError as error:  # the other objects are none the worse for it
        yield error


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def _length_us(path: Path) -> int:
    """Length of a video, 0 where the file does not say; in the sandbox."""
    items = decode(path, DecodePlan(parse_sampling("1frames")))
    try:
        first = next(items, None)
        return (first.duration_us or 0) if isinstance(first, MediaInfo) else 0
    except InputError:
        return 0  # a worker records the failure
    finally:
        items.close()

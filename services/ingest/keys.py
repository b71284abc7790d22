"""Keys: what no two workers may work on at once, and the jobs that one job becomes."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from schemas.jobs import Job, MediaReference, PartRange
from schemas.shards import MediaInfo
from services.ingest.columns import WHOLE

LONG_US: Final = 20 * 60 * 1_000_000
RANGE_PARTS: Final = 30
"""A video longer than 20 minutes becomes ranges of 30 segments, which several workers share."""


Claim = Callable[[str, str], str]
"""Given a medium and a key that it may be worked on under, the key that it is worked on under."""


@dataclass(frozen=True)
class FanOut:
    """The job becomes these jobs, each with its key.

    A long video's becomes one a range. One that came under another key than its medium's comes
    again under that: all work on a medium has to be in one partition; see `claims`.
    """

    jobs: tuple[tuple[str, Job], ...]


def identity(job: Job, content_id: str) -> str:
    """Media id: of the content; a chunk's with its place too, as a still scene repeats."""
    if job.chunk is None:
        return content_id
    place = f"{job.chunk.stream}\0{job.chunk.sequence}\0{content_id}"
    return hashlib.sha256(place.encode(errors="replace")).hexdigest()


def key_at(media: MediaReference) -> str:
    """Key of a job whose sender cannot know its medium's content: of the address."""
    version = "" if media.etag is None else f"\0{media.etag}"
    return hashlib.sha256(f"{media.address}{version}".encode(errors="replace")).hexdigest()


def key_of(job: Job, media_id: str, claim: Claim, came: str) -> str:
    """Key under which a job is worked on: what no two workers may work on at once.

    Args:
        job: what to do.
        media_id: of its medium.
        claim: of a whole medium.
        came: key of its record. If it is of the medium's address, the medium may stay there; any
            other is of the sender's choice, who may send all that he has under one.
    """
    if job.chunk is not None:
        return job.chunk.stream
    if job.range is not None:
        return range_key(media_id, job.range)
    return claim(media_id, came if came == key_at(job.media) else media_id)


def range_key(media_id: str, span: PartRange) -> str:
    """Key of a range of a long video."""
    return f"{media_id}/{span.start}"


def fan_out(
    job: Job, media_id: str, info: MediaInfo, segment_us: int
) -> tuple[tuple[str, Job], ...]:
    """Jobs for the ranges of a long video with their keys, the last one open at its end.

    Args:
        job: of the whole video; a range of one, or another medium, gives nothing.
        media_id: of the video.
        info: its facts; the declared length decides how many ranges there are.
        segment_us: length of a segment, microseconds.
    """
    length = info.duration_us or 0
    if job.range is not None or info.kind != "video" or length <= LONG_US:
        return ()
    starts = range(0, -(-length // segment_us), RANGE_PARTS)
    ranges = tuple(map(PartRange, starts, [*starts[1:], WHOLE.stop]))
    made = [replace(job, id=f"{job.id}/{span.start}", range=span, ranges=ranges) for span in ranges]
    return tuple((range_key(media_id, span), one) for span, one in zip(ranges, made, strict=True))

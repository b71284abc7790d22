"""Keys: what no two workers may work on at once, and the jobs that one job becomes."""

import hashlib
from dataclasses import dataclass, replace
from typing import Final

from schemas.jobs import Job, PartRange
from schemas.shards import MediaInfo
from services.ingest.columns import WHOLE

LONG_US: Final = 20 * 60 * 1_000_000
RANGE_PARTS: Final = 30
"""A video longer than 20 minutes becomes ranges of 30 segments, which several workers share."""


@dataclass(frozen=True)
class FanOut:
    """The job becomes these jobs, each with its key.

    A long video's becomes one a range. One whose sender could not know the medium's id comes again
    under it: all work on a medium has to be in one partition, or two workers might do it at once.
    """

    jobs: tuple[tuple[str, Job], ...]


def identity(job: Job, content_id: str) -> str:
    """Media id: of the content; a chunk's with its place too, as a still scene repeats."""
    if job.chunk is None:
        return content_id
    place = f"{job.chunk.stream}\0{job.chunk.sequence}\0{content_id}"
    return hashlib.sha256(place.encode(errors="replace")).hexdigest()


def key_of(job: Job, media_id: str) -> str:
    """Key of the job's record: what no two workers may work on at once."""
    if job.chunk is not None:
        return job.chunk.stream
    return media_id if job.range is None else f"{media_id}/{job.range.start}"


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
    return tuple((key_of(one, media_id), one) for one in made)

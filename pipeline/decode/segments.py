"""Segments: kept frames to shards, one a window of time, empty windows too."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

import pyarrow as pa

from pipeline.decode.picture import picture_row
from pipeline.decode.plan import DecodePlan, Limits
from pipeline.decode.sampling import CountTargets, RateTargets, visit_targets
from pipeline.decode.scenes import THRESHOLD, visit_scenes
from pipeline.decode.source import MICRO, Presented, Source, Visit, microseconds_of
from schemas.cues import CuePicture
from schemas.errors import InputError
from schemas.shards import FRAMES, Shard

_PROGRESS_FRAMES: Final = 32


@dataclass
class Cues:
    """Subtitles by their start.

    Attributes:
        cues: start and end, microseconds on the clock, and text.
        pictures: those that are pictures; None where they are not drawn.
    """

    cues: list[tuple[int, int, str]] = field(default_factory=list)
    pictures: list[CuePicture] | None = field(default_factory=list)

    def between(self, start: int, end: int | None) -> tuple[tuple[int, int, str], ...]:
        """Cues that are shown in `[start, end)`."""
        return tuple(one for one in self.cues if _is_shown(one[0], one[1], start, end))

    def pictures_between(self, start: int, end: int | None) -> tuple[CuePicture, ...] | None:
        """Pictures that are shown in `[start, end)`."""
        if self.pictures is None:
            return None
        shown = (one for one in self.pictures if _is_shown(one.start_us, one.end_us, start, end))
        return tuple(shown)


def _is_shown(at: int, until: int, start: int, end: int | None) -> bool:
    return (start <= at or start < until) and (end is None or at < end)


def visits(source: Source, plan: DecodePlan) -> Iterator[Visit | None]:
    """The frames of a video as the plan samples them, from a little before its first part.

    None stands for work that went on without coming past a frame.
    """
    start = int(Fraction(plan.first_part * plan.segment_us, MICRO) / source.time_base)
    sampling = plan.sampling
    if sampling.mode == "scene":
        yield from visit_scenes(source, sampling.value or THRESHOLD, start)
    elif sampling.mode == "count":
        ticks = yield from source.ticks()
        targets = CountTargets.spread(ticks, round(sampling.value))
        yield from visit_targets(source, targets, start)
    else:
        rate = Fraction(str(sampling.value))
        yield from visit_targets(source, RateTargets(rate, source.time_base), start)


def cut_segments(
    source: Source, plan: DecodePlan, limits: Limits, cues: Cues
) -> Iterator[Shard | int]:
    """Decode, sample and cut: a shard for every window up to the end, and signs of progress.

    Raises:
        InputError: `too_large`, or what the source raises.
    """
    window = _Window(source.time_base, plan, limits, cues)
    last = None
    for count, visit in enumerate(visits(source, plan), start=1):
        if visit is None:
            yield 0
            continue
        last = microseconds_of(visit.tick, source.time_base)
        if last // plan.segment_us >= limits.parts:
            message = f"spans more than {limits.parts} segments; its times are not plausible"
            raise InputError("too_large", message)
        yield from window.move(last // plan.segment_us)
        if window.is_done:
            return
        window.add(visit)
        if count % _PROGRESS_FRAMES == 0:
            yield 0
    if last is not None:
        yield from window.finish(max(last + 1, microseconds_of(source.end, source.time_base)))


class _Window:
    """The segment in work."""

    def __init__(self, base: Fraction, plan: DecodePlan, limits: Limits, cues: Cues) -> None:
        self._base, self._plan, self._limits, self._cues = base, plan, limits, cues
        self._part = plan.first_part
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0
        self._room = 0

    @property
    def is_done(self) -> bool:
        """Whether the plan wants nothing from here on."""
        return self._plan.stop_part is not None and self._part >= self._plan.stop_part

    def move(self, part: int) -> Iterator[Shard]:
        """Go on to a later segment; yields those that are complete."""
        while self._part < part and not self.is_done:
            yield self.shard(None)
            self._rows, self._bytes = [], 0
            self._part += 1

    def finish(self, end: int) -> Iterator[Shard]:
        """The last segments, of a video that ends at a time; its last frame may stand long."""
        last = (end - 1) // self._plan.segment_us
        yield from self.move(last)
        if self._part == last and not self.is_done:
            yield self.shard(end)

    def add(self, visit: Visit) -> None:
        """Take a kept frame in."""
        t_us = microseconds_of(visit.tick, self._base)
        if visit.kept is None or t_us // self._plan.segment_us < self._part:
            return
        if not self._rows:
            self._room = self._limits.message_bytes - self._drawn()
        row = self._row(visit.kept, visit.number, t_us)
        self._bytes += len(row["image"])
        if self._bytes > self._room:
            message = (
                f"the pictures of one segment exceed {self._room} bytes; "
                "sample fewer, or cut shorter segments"
            )
            raise InputError("too_large", message)
        self._rows.append(row)

    def _drawn(self) -> int:
        """Bytes of the subtitles' pictures of the segment."""
        start = self._part * self._plan.segment_us
        shown = self._cues.pictures_between(start, start + self._plan.segment_us)
        return sum(len(one.image) for one in shown or ())

    def shard(self, end: int | None) -> Shard:
        """The segment; the last one ends where the video does, and has all later subtitles."""
        start = self._part * self._plan.segment_us
        until = start + self._plan.segment_us
        batch = pa.RecordBatch.from_pylist(self._rows, schema=FRAMES)
        before = until if end is None else None
        cues = self._cues.between(start, before)
        pictures = self._cues.pictures_between(start, before)
        subtitles = "\n".join(text for _, _, text in cues)
        stop = until if end is None else end
        return Shard(self._part, start, stop, batch, subtitles, cues, pictures, self._rate())

    def _rate(self) -> float | None:
        """Instants a second that numbers of frames count; those of scenes are milliseconds."""
        sampling = self._plan.sampling
        return {"rate": sampling.value, "scene": 1000.0}.get(sampling.mode)

    def _row(self, frame: Presented, number: int, t_us: int) -> dict[str, Any]:
        return {
            "frame_no": number,
            "pts": frame.pts,
            "time_base_num": self._base.numerator,
            "time_base_den": self._base.denominator,
            "t_us": t_us,
            "is_key": frame.is_key,
            **picture_row(
                frame.image(),
                width=self._plan.width,
                lossless=False,
                shown=frame.shown and frame.shown(),
            ),
        }

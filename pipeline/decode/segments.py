"""Segments: presented frames to shards of kept frames, one a window of time."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import pyarrow as pa
from PIL import Image

from pipeline.decode.picture import picture_row
from pipeline.decode.plan import DecodePlan, Limits
from schemas.errors import InputError
from schemas.shards import FRAMES, Shard

MICRO = 1_000_000
Targets = Callable[[Fraction], int]
"""How many targets lie at or before an instant, seconds from the first frame."""


@dataclass(frozen=True)
class Presented:
    """A decoded frame at its presentation time.

    Attributes:
        pts: in units of `time_base`.
        time_base: seconds.
        t: exact seconds from the first presented frame.
        is_key: whether it is a key frame.
        image: converts the frame to RGB, upright.
        stretch: pixel aspect ratio.
        is_cut: whether a scene begins here; used by scene sampling alone.
    """

    pts: int
    time_base: Fraction
    t: Fraction
    is_key: bool
    image: Callable[[], Image.Image]
    stretch: float = 1.0
    is_cut: bool = False


@dataclass
class Cues:
    """Subtitle cues: start in microseconds from the first frame, and text."""

    starts: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def between(self, start: int, end: int) -> str:
        """Cues that begin in `[start, end)`, one a line."""
        chosen = [
            text for at, text in zip(self.starts, self.texts, strict=True) if start <= at < end
        ]
        return "\n".join(chosen)


def rate_targets(rate: float) -> Targets:
    """Targets at every multiple of 1/rate seconds."""
    exact = Fraction(rate).limit_denominator(10_000)
    return lambda t: int(t * exact // 1) + 1


def count_targets(count: int, last: Fraction) -> Targets:
    """Targets at `count` instants, evenly from 0 to `last` (the linspace rule of Qwen)."""
    steps = max(count - 1, 1)
    instants = [last * index / steps for index in range(count)]
    return lambda t: bisect_right(instants, t)


def microseconds(t: Fraction) -> int:
    """Seconds to the nearest microsecond."""
    return round(t * MICRO)


def cut_segments(
    frames: Iterable[Presented],
    targets: Targets | None,
    plan: DecodePlan,
    limits: Limits,
    cues: Cues,
) -> Iterator[Shard]:
    """Keep the frames that targets (or cuts, if None) choose; yield a shard for every window.

    A frame is chosen if a target lies after its predecessor and not after itself. That needs no
    memory of what came before, so a resumed run chooses the same frames.

    Raises:
        InputError: `too_large`.
    """
    rows: list[dict[str, Any]] = []
    part, cuts, here = plan.first_part, 0, -1
    before: Fraction | None = None
    for frame in frames:
        index = _index(frame, before, targets, cuts)
        cuts += index is not None
        before = frame.t
        here = microseconds(frame.t) // plan.segment_us
        if here < plan.first_part:
            continue
        if here - part > limits.parts or here > limits.parts:
            message = f"spans more than {limits.parts} segments; its times are not plausible"
            raise InputError("too_large", message)
        while part < here:
            yield _shard(part, rows, plan.segment_us, (part + 1) * plan.segment_us, cues)
            rows, part = [], part + 1
        if index is not None:
            rows.append(_row(frame, index, plan))
        if len(rows) > limits.frames:
            message = f"more than {limits.frames} frames in a segment; sample fewer"
            raise InputError("too_large", message)
    if before is not None and here >= plan.first_part:
        yield _shard(part, rows, plan.segment_us, microseconds(before) + 1, cues)


def _index(
    frame: Presented, before: Fraction | None, targets: Targets | None, cuts: int
) -> int | None:
    """The frame's number if it is kept."""
    if targets is None:
        return cuts if frame.is_cut or before is None else None
    number = targets(frame.t)
    chosen = number > (0 if before is None else targets(before))
    return number - 1 if chosen else None


def _row(frame: Presented, number: int, plan: DecodePlan) -> dict[str, Any]:
    return {
        "frame_no": number,
        "pts": frame.pts,
        "time_base_num": frame.time_base.numerator,
        "time_base_den": frame.time_base.denominator,
        "t_us": microseconds(frame.t),
        "is_key": frame.is_key,
        **picture_row(
            frame.image(),
            min_pixels=plan.min_pixels,
            max_pixels=plan.max_pixels,
            lossless=False,
            stretch=frame.stretch,
        ),
    }


def _shard(part: int, rows: list[dict[str, Any]], length: int, end: int, cues: Cues) -> Shard:
    start = part * length
    batch = pa.RecordBatch.from_pylist(rows, schema=FRAMES)
    return Shard(part, start, end, batch, cues.between(start, (part + 1) * length))

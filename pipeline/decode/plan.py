"""Plan: how a medium is sampled, sized and cut, and the limits of the sandboxed child."""

from dataclasses import dataclass, field
from typing import Final, Literal

from schemas.shards import Budget

DECODING: Final = 5
"""Version of decoding, part of `sampling`: it grows when other pictures, times or texts come of the
same medium, so that rows of both are never mixed."""


@dataclass(frozen=True)
class Sampling:
    """Which frames of a video are kept.

    Attributes:
        mode: "rate" keeps what is on the screen at each multiple of 1/value seconds: the last
            frame presented by then. "count" keeps `value` frames at the indices
            `linspace(0, total - 1, value)`, rounded half to even, as the Qwen evaluation does.
            "scene" keeps the first frame of every shot. No frame is kept twice.
        value: frames per second; frames in all; or the score of a cut (0 is the default score).
    """

    mode: Literal["rate", "count", "scene"]
    value: float = 0.0


@dataclass(frozen=True)
class DecodePlan:
    """What to do with one medium.

    Attributes:
        sampling: of videos.
        width: of a frame or a still at the most, pixels; smaller ones stay as they are.
        dpi: pixels an inch of a page.
        budget: what a model is shown of the pictures.
        segment_us: length of a video's part, microseconds.
        pages_per_part: pages in a document's part.
        first_part: parts before this one are left out.
        stop_part: this part and those behind it are left out; None leaves out none.
        subtitles: texts of the subtitle files that go with a video.
        subtitle_pictures: whether subtitles that are pictures are drawn, to be read.
    """

    sampling: Sampling
    width: int = 1920
    dpi: int = 150
    budget: Budget = field(default_factory=Budget)
    segment_us: int = 10_000_000
    pages_per_part: int = 8
    first_part: int = 0
    stop_part: int | None = None
    subtitles: tuple[str, ...] = ()
    subtitle_pictures: bool = False


@dataclass(frozen=True)
class Limits:
    """Limits of the child and of what it may read.

    Attributes:
        memory_bytes: address space, beside that of the parsing libraries.
        silence_s: wall-clock seconds without a sign of progress (a page, 32 frames), after which
            the child is killed.
        cpu_s: CPU seconds between two signs of progress.
        total_cpu_s: CPU seconds in all, for the first byte ...
        cpu_s_per_mib: ... and for every MiB of the file.
        image_pixels: pixels of a still picture.
        frame_pixels: pixels of a video frame.
        pages: pages of a document or pictures of a file.
        frames: decoded frames of a video.
        parts: parts of a video; a file that declares a gap of weeks has too many.
        message_bytes: size of one shard.
        restarts: pages of a document that may kill the child before it is given up.
    """

    memory_bytes: int = 1536 << 20
    silence_s: float = 40.0
    cpu_s: int = 20
    total_cpu_s: int = 600
    cpu_s_per_mib: int = 20
    image_pixels: int = 178_956_970
    frame_pixels: int = 33_177_600
    pages: int = 20_000
    frames: int = 20_000_000
    parts: int = 100_000
    message_bytes: int = 256 << 20
    restarts: int = 10

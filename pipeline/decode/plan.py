"""Plan: how a medium is sampled, sized and cut, and the limits of the sandboxed child."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Sampling:
    """Which frames of a video are kept.

    Attributes:
        mode: "rate" keeps the first frame presented at or after each multiple of 1/value
            seconds; "count" does so for `value` instants spread evenly from the first to the
            last frame; "scene" keeps the first frame and each that differs from its predecessor.
        value: frames per second; frames in all; unused for scenes.
    """

    mode: Literal["rate", "count", "scene"]
    value: float = 0.0


@dataclass(frozen=True)
class DecodePlan:
    """What to do with one medium.

    Attributes:
        sampling: of videos.
        min_pixels: least area of a picture.
        max_pixels: largest area of a picture.
        segment_us: length of a video's part, microseconds.
        pages_per_part: pages in a document's part.
        first_part: parts before this one are left out.
    """

    sampling: Sampling
    min_pixels: int
    max_pixels: int
    segment_us: int = 10_000_000
    pages_per_part: int = 8
    first_part: int = 0


@dataclass(frozen=True)
class Limits:
    """Limits of the child and of what it may read.

    Attributes:
        memory_bytes: address space.
        silence_s: wall-clock seconds without any output, after which it is killed.
        cpu_s: CPU seconds between two outputs.
        image_pixels: pixels of a still picture.
        frame_pixels: pixels of a video frame.
        pages: pages of a document or pictures of a file.
        frames: kept frames of a video.
        parts: parts of a medium; a file that declares a gap of years has too many.
        message_bytes: size of one shard.
        restarts: pages of a document that may kill the child before it is given up.
    """

    memory_bytes: int = 3 << 30
    silence_s: float = 60.0
    cpu_s: int = 60
    image_pixels: int = 178_956_970
    frame_pixels: int = 33_177_600
    pages: int = 20_000
    frames: int = 1_000_000
    parts: int = 100_000
    message_bytes: int = 256 << 20
    restarts: int = 10

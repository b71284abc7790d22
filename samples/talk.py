"""The sample talk: five slides, whose lines stand a while, and a speaker who moves beside them."""

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final, NamedTuple

import av
import numpy as np
from PIL import Image, ImageDraw

from samples.typefaces import DEJAVU_SANS, DEJAVU_SANS_BOLD

SIZE: Final = (1280, 720)
FPS: Final = 2


class Slide(NamedTuple):
    """A slide: how long it stands, and what is on it."""

    seconds: int
    title: str
    points: tuple[str, ...]


SLIDES: Final = (
    Slide(
        8,
        "A year of four stations",
        ("A talk of one minute", "Given in the town hall", "12 January 2026"),
    ),
    Slide(
        12,
        "Delays",
        (
            "Nine trains of ten were on time",
            "Fog cost us the second of March",
            "New signals stand at the airport",
            "Late trains are announced earlier",
        ),
    ),
    Slide(
        10,
        "Passengers",
        (
            "Ridership grew 12 % in 2025",
            "Most came on Friday evenings",
            "Old Town is the quiet one",
        ),
    ),
    Slide(
        10,
        "What we build",
        (
            "Harbour gets a second platform",
            "Lifts at all four stations",
            "Work starts in April 2026",
            "Cost: 3.4 million euros",
        ),
    ),
    Slide(
        12,
        "Thank you",
        ("Questions are welcome", "Slides and tables are at the desk", "Coffee is served outside"),
    ),
)
"""The second and the last stand across an end of the segments of ten seconds."""
_PAPER: Final = (250, 250, 246)
_BAR: Final = (24, 58, 110)
_INK: Final = (30, 34, 42)
_SPEAKER: Final = (222, 120, 60)


def make_talk(path: Path) -> None:
    """Write the video, h264 in MP4."""
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "33", "preset": "veryslow", "g": "40", "threads": "1"}
        for index, image in enumerate(_frames()):
            frame = av.VideoFrame.from_ndarray(np.asarray(image), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _frames() -> Iterator[Image.Image]:
    for number, slide in enumerate(SLIDES):
        drawn = _slide(slide)
        for index in range(slide.seconds * FPS):
            yield _with_speaker(drawn, number + _step(index / FPS / slide.seconds))


def _slide(slide: Slide) -> Image.Image:
    image = Image.new("RGB", SIZE, _PAPER)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, SIZE[0], 130), fill=_BAR)
    draw.text((80, 65), slide.title, "white", DEJAVU_SANS_BOLD.at(52), anchor="lm")
    for number, point in enumerate(slide.points):
        draw.text((80, 220 + 90 * number), point, _INK, DEJAVU_SANS.at(40), anchor="lm")
    return image


def _step(share: float) -> float:
    """How far a step has come that is made in the middle of a slide, 0 to 1."""
    return min(max((share - 0.45) * 10, 0.0), 1.0)


def _with_speaker(slide: Image.Image, steps: float) -> Image.Image:
    """A disc in the corner, which goes to and fro a step a slide."""
    image = slide.copy()
    x = 1110 + 80 * math.sin(steps * math.pi / 2) ** 2
    ImageDraw.Draw(image).ellipse((x - 60, 550, x + 60, 670), fill=_SPEAKER)
    return image

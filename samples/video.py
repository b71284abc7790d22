"""The sample video: lines of text and single moving shapes, with known times and subtitles."""

import math
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Final

import av
import numpy as np
from PIL import Image, ImageDraw

from samples.typefaces import DEJAVU_SANS

SIZE: Final = (448, 252)
FPS: Final = 12
SCENE_S: Final = 4
SCENES: Final = (
    ("text", "Hello world", (255, 255, 255)),
    ("shape", "a red circle", (235, 245, 235)),
    ("text", "Chapter 1", (245, 240, 225)),
    ("shape", "a blue square", (255, 255, 255)),
    ("text", "Room 204", (225, 235, 250)),
    ("text", "Gate 17", (225, 235, 250)),
    ("shape", "a green triangle", (250, 240, 240)),
    ("text", "Total 1850", (255, 255, 255)),
    ("shape", "an orange star", (230, 240, 250)),
    ("text", "The end", (240, 240, 240)),
)
CUES: Final = (
    (0.5, 3.5, "A greeting appears on a white card."),
    (12.0, 15.5, "A square moves to the right."),
    (21.0, 23.0, "Passengers go to the gate."),
    (36.5, 39.5, "This is where it ends."),
)
COLOURS: Final = {
    "red": (214, 40, 40),
    "blue": (40, 80, 210),
    "green": (40, 150, 60),
    "orange": (240, 130, 20),
}


def make_video(path: Path) -> None:
    """Write the video, h264 in Matroska with a SubRip track."""
    same = {"fflags": "+bitexact"}  # else the muxer draws ids at random
    with av.open(str(path), "w", format="matroska", options=same) as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "23", "preset": "veryslow", "g": "48", "threads": "1"}
        with av.open(BytesIO(_srt().encode()), format="srt") as cues:
            track = container.add_stream_from_template(cues.streams.subtitles[0])
            for packet in cues.demux():
                if packet.pts is not None:
                    packet.stream = track
                    container.mux(packet)
        for index in range(len(SCENES) * SCENE_S * FPS):
            frame = av.VideoFrame.from_ndarray(np.asarray(_frame(index)), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _srt() -> str:
    blocks = [
        f"{number}\n{_clock(start)} --> {_clock(end)}\n{text}\n"
        for number, (start, end, text) in enumerate(CUES, start=1)
    ]
    return "\n".join(blocks)


def _clock(seconds: float) -> str:
    whole, rest = divmod(round(seconds * 1000), 1000)
    return f"00:{whole // 60:02}:{whole % 60:02},{rest:03}"


def _frame(index: int) -> Image.Image:
    scene, within = divmod(index, SCENE_S * FPS)
    kind, content, background = SCENES[scene]
    image = Image.new("RGB", SIZE, background)
    if kind == "text":
        draw = ImageDraw.Draw(image)
        font = DEJAVU_SANS.at(54)
        draw.text((SIZE[0] / 2, SIZE[1] / 2), content, (25, 25, 30), font, anchor="mm")
        return image
    _, colour, shape = content.split()
    large = image.resize((SIZE[0] * 2, SIZE[1] * 2))
    x = 260 + 360 * within / (SCENE_S * FPS)
    points = outline(shape, x, SIZE[1], 130)
    ImageDraw.Draw(large).polygon(points, fill=COLOURS[colour])
    return large.reduce(2)


def outline(shape: str, x: float, y: float, radius: float) -> list[tuple[float, float]]:
    """Corners of a shape; a circle has many."""
    corners = {
        "circle": [(k * 3.0, 1.0) for k in range(120)],
        "square": [(45 + 90.0 * k, 1.2) for k in range(4)],
        "triangle": [(270.0, 1.15), (30.0, 1.15), (150.0, 1.15)],
        "star": [(270 + 36.0 * k, 1.1 if k % 2 == 0 else 0.45) for k in range(10)],
    }[shape]
    return [
        (x + radius * r * math.cos(math.radians(a)), y + radius * r * math.sin(math.radians(a)))
        for a, r in corners
    ]

"""Clips: long videos made quickly - a minute is encoded, and its packets are repeated."""

import os
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from numpy.typing import NDArray

SIZE: Final = (1280, 720)
FPS: Final = 25
MINUTE_S: Final = 60
_CUE_S: Final = 4
_CUE_BASE: Final = Fraction(1, 1000)
_STYLE: Final = (
    "Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, "
    "Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, "
    "Alignment, MarginL, MarginR, MarginV, Encoding"
)
_ASS_HEADER: Final = (
    f"[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: {_STYLE}\n"
    "Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,0\n\n"
    "[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
)


def clip(folder: Path, minutes: int, between: int = 0) -> Path:
    """An MP4 of h264 with a text track, 1280 x 720 at 25 a second; made once, then reused.

    Args:
        folder: where clips are kept.
        minutes: length.
        between: B-frames in a row, at the most.
    """
    kind = f"-{between}b" if between else ""
    path = folder / f"{minutes}-minutes{kind}.mp4"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        first = folder / f"minute.h264{kind}.mp4"
        if not first.exists():
            _whole(first, lambda new: _encode(new, between))
        _whole(path, lambda new: _repeat(first, new, minutes))
    return path


def _whole(path: Path, write: Any) -> None:  # noqa: ANN401 - a function of a path
    new = path.with_name(f"{os.getpid()}-{path.name}")
    write(new)
    new.replace(path)


def _encode(path: Path, between: int) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.options = {"preset": "ultrafast", "crf": "30", "bf": str(between)}
        for index, planes in enumerate(_frames()):
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _frames() -> Iterator[NDArray[np.uint8]]:
    """Planes of YUV 4:2:0: a wall of tiles that scrolls, and a bright block that crosses it."""
    width, height = SIZE
    tiles = np.random.default_rng(0).integers(30, 220, (height // 40, 2 * width // 40))
    wall = tiles.astype(np.uint8).repeat(40, axis=0).repeat(40, axis=1)
    for index in range(MINUTE_S * FPS):
        planes = np.full((height * 3 // 2, width), 128, dtype=np.uint8)
        shift = 2 * index % width
        planes[:height] = wall[:, shift : shift + width]
        left = 9 * index % (width - 100)
        planes[200:300, left : left + 100] = 235
        planes[height : height + 90] = index % 200  # the colour drifts, so no two frames are equal
        yield planes


def _repeat(minute: Path, path: Path, minutes: int) -> None:
    with av.open(str(minute)) as source, av.open(str(path), "w") as target:
        video = source.streams.video[0]
        stream: Any = target.add_stream_from_template(video)
        text: Any = target.add_stream("mov_text")
        text.codec_context.subtitle_header = _ASS_HEADER.encode()
        packets = [packet for packet in source.demux(video) if packet.size]
        span = int(MINUTE_S / Fraction(video.time_base or 1))
        for count in range(minutes):
            for second in range(0, MINUTE_S, _CUE_S):
                target.mux(_cue(text, count * MINUTE_S + second))
            for packet in packets:
                target.mux(_copy(packet, stream, count * span))


def _copy(packet: Any, stream: Any, shift: int) -> Any:  # noqa: ANN401 - PyAV leaves kinds open
    copy = av.Packet(bytes(packet))
    copy.stream, copy.time_base = stream, packet.time_base
    copy.pts, copy.dts = packet.pts + shift, packet.dts + shift
    copy.duration, copy.is_keyframe = packet.duration, packet.is_keyframe
    return copy


def _cue(stream: Any, second: int) -> Any:  # noqa: ANN401 - PyAV leaves kinds open
    text = f"What is said at second {second}.".encode()
    packet = av.Packet(struct.pack(">H", len(text)) + text)
    packet.stream, packet.time_base = stream, _CUE_BASE
    packet.pts = packet.dts = second * 1000
    packet.duration = (_CUE_S * 1000) - 500
    return packet


def chunk(path: Path, seconds: int, number: int) -> Path:
    """A chunk of a live stream: h264, 640 x 360 at 10 a second, no two numbers alike."""
    return _plain(path, seconds * 10, Fraction(10), (640, 360), number)


def slow_clip(path: Path, minutes: int) -> Path:
    """A long video of few frames: h264, 160 x 90, one a second."""
    return _plain(path, minutes * 60, Fraction(1), (160, 90), 0)


def _plain(path: Path, frames: int, fps: Fraction, size: tuple[int, int], number: int) -> Path:
    """A grey wall that grows lighter, with a bar that crosses it."""
    width, height = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.options = {"preset": "ultrafast", "bf": "0"}
        for index in range(frames):
            planes = np.full((height * 3 // 2, width), 128, dtype=np.uint8)
            planes[:height] = 40 + (index // 7 + 11 * number) % 120
            left = 5 * index % (width - 20)
            planes[: height // 2, left : left + 20] = 220
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = index, 1 / fps
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path

"""Videos are shown as a player shows them, and one doubtful sign does not cost a medium."""

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from pipeline.decode import DecodePlan, Sampling, decode, pixels
from schemas.errors import InputError
from schemas.shards import MediaInfo, MediaWarning, Shard
from tests.videos import video

PLAN = DecodePlan(Sampling("rate", 1.0))
WIDE, HIGH = 320, 192
RED, GREEN, BLUE = (192, 32, 32), (32, 160, 32), (32, 32, 192)
CORNERS = {(0, 0): RED, (1, 0): GREEN, (0, 1): BLUE}
"""Colours by their place: right, down."""


def corners(path: Path, **options: str) -> Path:
    """Two seconds of three coloured corners on grey."""
    picture = np.full((HIGH, WIDE, 3), 128, np.uint8)
    for (right, down), colour in CORNERS.items():
        picture[down * 96 : down * 96 + 96, right * 160 : right * 160 + 160] = colour
    with av.open(str(path), "w", container_options=options) as container:
        stream: Any = container.add_stream("mpeg4", rate=1)
        stream.width, stream.height, stream.pix_fmt = WIDE, HIGH, "yuv420p"
        stream.options = {"qscale": "1", "global_quality": "118"}
        for number in range(2):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def read(path: Path) -> tuple[MediaInfo, list[dict[str, Any]], list[str]]:
    """Facts, rows of frames, and the codes of warnings."""
    info, *rest = decode(path, PLAN)
    assert isinstance(info, MediaInfo)
    rows = [row for one in rest if isinstance(one, Shard) for row in one.rows.to_pylist()]
    return info, rows, [one.code for one in rest if isinstance(one, MediaWarning)]


@pytest.mark.parametrize(
    ("a", "b", "c", "d", "degrees"),
    [
        (1, 0, 0, 1, 0),
        (0, 1, -1, 0, 90),
        (-1, 0, 0, -1, 180),
        (0, -1, 1, 0, 270),
        (-1, 0, 0, 1, 0),
        (1, 0, 0, -1, 180),
        (0, 1, 1, 0, 270),
        (0, -1, -1, 0, 90),
    ],
)
def test_a_frame_is_turned_and_mirrored_by_its_matrix(
    tmp_path: Path, a: int, b: int, c: int, d: int, degrees: int
) -> None:
    """A point (p, q) is shown at (a p + c q, b p + d q), as in ISO/IEC 14496-12."""
    path = corners(tmp_path / "a.mp4")
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    shift = [WIDE * (a < 0) + HIGH * (c < 0), WIDE * (b < 0) + HIGH * (d < 0)]
    values = [a << 16, b << 16, 0, c << 16, d << 16, 0, shift[0] << 16, shift[1] << 16, 1 << 30]
    data[at : at + 36] = struct.pack(">9i", *values)
    path.write_bytes(data)
    info, rows, _ = read(path)
    assert (info.width, info.height) == ((WIDE, HIGH) if a else (HIGH, WIDE))
    assert info.rotation == degrees
    picture = pixels(rows[0]["image"])
    for (p, q), colour in CORNERS.items():
        x = a * p + c * q + (a < 0) + (c < 0)
        y = b * p + d * q + (b < 0) + (d < 0)
        seen = picture[[8, -8][y], [8, -8][x]].astype(int)
        assert np.abs(seen - colour).max() < 24, (p, q)


@pytest.mark.parametrize(
    "more", [b"\0", b"abc", b"\0" * 7, b"\0" * 8, b"junk" * 25, b"\n", b"ID3" * 60]
)
@pytest.mark.parametrize("order", ["", "+faststart"], ids=["index behind", "index first"])
def test_bytes_behind_a_whole_file_are_a_warning(tmp_path: Path, more: bytes, order: str) -> None:
    options = {"movflags": order} if order else {}
    path = video(tmp_path / "a.mp4", 12, **options)
    path.write_bytes(path.read_bytes() + more)
    _, rows, warnings = read(path)
    assert [row["t_us"] for row in rows] == [n * 1_000_000 for n in range(12)]
    assert warnings == ["trailing_bytes"]


def test_what_is_cut_is_said_to_be(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mp4", 12, movflags="+faststart")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError) as caught:
        read(path)
    assert caught.value.code == "truncated"


@pytest.mark.parametrize("off", [1, 2, 8])
def test_a_size_that_is_a_little_wrong_is_a_warning(tmp_path: Path, off: int) -> None:
    path = video(tmp_path / "a.avi", 3)
    data = bytearray(path.read_bytes())
    data[4:8] = struct.pack("<I", len(data) - 8 + off)
    path.write_bytes(data)
    _, rows, warnings = read(path)
    assert (len(rows), warnings) == (3, ["damaged"])


def test_an_ordinary_file_has_no_warning(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.mkv", "a.avi", "a.ts"):
        assert read(video(tmp_path / name, 3))[2] == [], name


def test_a_second_video_is_said(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        streams: list[Any] = [container.add_stream("mpeg4", rate=1) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for stream in streams:
            for number in range(2):
                frame = av.VideoFrame(64, 48, "yuv420p")
                frame.pts = number
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    assert read(tmp_path / "a.mkv")[2] == ["not_read"]


@pytest.mark.parametrize(("seconds", "parts"), [(0.5, 1), (30, 3), (95, 10)])
def test_the_last_frame_is_shown_for_its_time(tmp_path: Path, seconds: float, parts: int) -> None:
    """A still of so many seconds: one frame, and segments up to its end."""
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=1000)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        frame = av.VideoFrame(64, 48, "yuv420p")
        frame.pts = 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            packet.duration = round(seconds / packet.time_base)
            container.mux(packet)
    shards = [one for one in decode(path, PLAN) if isinstance(one, Shard)]
    assert [one.rows.num_rows for one in shards] == [1] + [0] * (parts - 1)
    assert shards[-1].end == pytest.approx(seconds * 1_000_000, abs=1000)


def test_the_shape_of_pixels_may_change(tmp_path: Path) -> None:
    """Two recordings of one clock, by the elementary streams: 1:1, then 2:1."""
    path = tmp_path / "a.ts"
    with av.open(str(path), "w") as container:
        out: Any = container.add_stream("mpeg2video", rate=25)
        out.width, out.height, out.pix_fmt = 64, 48, "yuv420p"
        for number, ratio in enumerate((Fraction(1), Fraction(2))):
            encoder: Any = av.CodecContext.create("mpeg2video", "w")
            encoder.width, encoder.height, encoder.pix_fmt = 64, 48, "yuv420p"
            encoder.time_base, encoder.framerate = Fraction(1, 25), Fraction(25)
            encoder.sample_aspect_ratio = ratio * Fraction(3, 4)
            packets = []
            for index in range(50):
                frame = av.VideoFrame(64, 48, "yuv420p")
                frame.pts = index
                packets += encoder.encode(frame)
            for packet in [*packets, *encoder.encode(None)]:
                packet.stream, packet.time_base = out, Fraction(1, 25)
                packet.pts, packet.dts = packet.pts + 50 * number, packet.dts + 50 * number
                container.mux(packet)
    _, rows, _ = read(path)
    shapes = [row["width"] / row["height"] for row in rows]
    assert len(shapes) == 4
    assert shapes[0] == shapes[1] < shapes[2] == shapes[3]


def levels(path: Path, codec: str, options: dict[str, str]) -> Path:
    """Fifty frames of five a second, each of a grey of its own."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.options = options
        for number in range(50):
            picture = np.full((48, 64, 3), 4 * number + 20, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", ["a.avi", "a.mkv", "a.mp4", "a.ts"])
@pytest.mark.parametrize("bframes", ["0", "2"])
def test_a_frame_has_one_time_however_it_is_asked_for(
    tmp_path: Path, name: str, bframes: str
) -> None:
    """AVI has no times of presentation, and frames that lean on later ones."""
    path = levels(tmp_path / name, "libx264", {"bf": bframes, "crf": "1"})
    for sampling, numbers in [
        (Sampling("count", 7), [0, 8, 16, 24, 33, 41, 49]),
        (Sampling("rate", 1.0), list(range(0, 50, 5))),
    ]:
        items = decode(path, DecodePlan(sampling))
        rows = [row for one in items if isinstance(one, Shard) for row in one.rows.to_pylist()]
        assert [round(row["t_us"] / 200_000) for row in rows] == numbers
        greys = [pixels(row["image"]).mean() for row in rows]
        assert greys == pytest.approx([4 * number + 20 for number in numbers], abs=3)

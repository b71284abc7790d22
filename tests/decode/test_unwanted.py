"""Frames that nobody wants are not decoded; who counts frames cannot tell."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.codec.context import CodecContext

from pipeline.decode.plan import Limits
from pipeline.decode.source import unseen
from pipeline.decode.unwanted import may_leave_out
from pipeline.decode.video import Video


def moving(path: Path, options: str = "", frames: int = 75) -> Path:
    """A video of 25 frames a second, most of them leaning on both sides."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 64, "yuv420p"
        stream.options = {"preset": "veryfast", "bf": "3", "x264-params": options}
        for index in range(frames):
            picture = np.full((64, 128, 3), 60 + index, dtype=np.uint8)
            picture[10:40, index : index + 30] = (200, 30, 30)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def seen(path: Path, at_s: float = 0, only: bool = True) -> tuple[list[Any], int, int]:
    """Facts of frames, with pixels of those shown at whole seconds; how many have no picture."""
    with path.open("rb") as file:
        video = Video(file, Limits())
        second = int(1 / video.time_base)

        def wanted(tick: int, until: int) -> bool:
            return -(-tick // second) * second < until

        frames = list(video.frames(int(at_s * second), wanted if only else None))
        facts: list[Any] = []
        for frame, until in zip(frames, [*frames[1:], frames[-1]], strict=True):
            is_shown = wanted(frame.tick, max(until.tick, frame.tick + 1))
            picture = np.asarray(frame.image()).tobytes() if is_shown else b""
            facts.append((frame.tick, frame.pts, frame.is_key, picture))
        return facts, video.end, sum(frame.image is unseen for frame in frames)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
@pytest.mark.parametrize("at_s", [0, 1.5])
def test_frames_are_the_same_though_fewer_are_decoded(
    tmp_path: Path, name: str, at_s: float
) -> None:
    path = moving(tmp_path / name, "keyint=25:open-gop=1")
    facts, end, missing = seen(path, at_s)
    assert (facts, end) == seen(path, at_s, only=False)[:2]
    assert missing > len(facts) / 4


@pytest.mark.parametrize(
    ("name", "options"), [("a.avi", ""), ("a.mp4", "interlaced=1"), ("a.h264", "")]
)
def test_where_packets_do_not_tell_all_is_decoded(tmp_path: Path, name: str, options: str) -> None:
    facts, _, missing = seen(moving(tmp_path / name, options))
    assert len(facts) > 70
    assert missing == 0


def test_a_decoder_that_gives_nothing_after_a_seek_leaves_no_hole(tmp_path: Path) -> None:
    path = moving(tmp_path / "a.mp4", "intra-refresh=1:keyint=25")
    assert seen(path, 2)[0] == seen(path, 2, only=False)[0]


@pytest.mark.parametrize(("layers", "may"), [(1, True), (3, False)])
def test_frames_of_upper_layers_may_lean_on_those_of_lower_ones(layers: int, may: bool) -> None:
    codec: Any = CodecContext.create("hevc", "r")
    codec.extradata = bytes([1, *[0] * 20, layers << 3, 0])
    assert may_leave_out(codec) is may

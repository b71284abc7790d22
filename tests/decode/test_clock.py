"""Times are those of the player, also where recordings were joined or begin in their midst."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.packet import Packet

from pipeline.decode import DecodePlan, Sampling, decode, pixels
from schemas.errors import InputError
from schemas.shards import MediaInfo, MediaWarning, Shard
from tests.videos import video

SECOND = 1_000_000


class Read:
    """What is decoded of a file at so many frames a second, from a segment on."""

    def __init__(self, path: Path, sampling: Sampling | float = 1.0, first: int = 0) -> None:
        if not isinstance(sampling, Sampling):
            sampling = Sampling("rate", sampling)
        items = list(decode(path, DecodePlan(sampling, first_part=first)))
        [self.info] = [one for one in items if isinstance(one, MediaInfo)]
        self.shards = [one for one in items if isinstance(one, Shard)]
        self.warnings = [one for one in items if isinstance(one, MediaWarning)]
        self.rows: list[dict[str, Any]] = [
            row for one in self.shards for row in one.rows.to_pylist()
        ]
        self.codes = [one.code for one in self.warnings]
        self.times = [row["t_us"] for row in self.rows]

    def greys(self) -> list[float]:
        return [float(pixels(row["image"]).mean()) for row in self.rows]


def recording(
    path: Path,
    begin: float,
    seconds: int,
    grey: int,
    gop: int = 5,
    codec: str = "",
    width: int = 64,
) -> Path:
    """Five frames a second whose times begin somewhere; each frame is a little lighter."""
    codec = codec or {".webm": "libvpx", ".flv": "flv"}.get(path.suffix, "mpeg4")
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=5)
        stream.width, stream.height, stream.pix_fmt = width, 48, "yuv420p"
        stream.codec_context.gop_size = gop
        for number in range(5 * seconds):
            picture = np.full((48, width, 3), grey + number, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            container.mux(shifted(stream.encode(frame), begin))
        container.mux(shifted(stream.encode(None), begin))
    return path


def shifted(packets: list[Packet], seconds: float) -> list[Packet]:
    """Packets that come so much later."""
    for packet in packets:
        assert packet.pts is not None
        assert packet.dts is not None
        ticks = round(seconds / packet.time_base)
        packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
    return packets


@pytest.mark.parametrize("suffix", ["ts", "mkv", "webm", "flv"])
@pytest.mark.parametrize("begin", [0, 5, 9 * 3600], ids=["anew", "in the midst", "far ahead"])
def test_joined_recordings_follow_each_other(tmp_path: Path, suffix: str, begin: int) -> None:
    """By `cat`, as people join them; 12 seconds each."""
    first = recording(tmp_path / f"a.{suffix}", 0, 12, 20)
    second = recording(tmp_path / f"b.{suffix}", begin, 12, 140)
    joined = tmp_path / f"c.{suffix}"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    read = Read(joined)
    assert len(read.rows) == 24
    assert read.times == pytest.approx([n * SECOND for n in range(24)], abs=SECOND / 5)
    wanted = [20 + 5 * n for n in range(12)] + [140 + 5 * n for n in range(12)]
    assert read.greys() == pytest.approx(wanted, abs=6)
    assert read.codes == ["clock_jumped"]
    assert len(read.shards) == 3
    assert read.info.duration_us == pytest.approx(24 * SECOND, abs=SECOND / 5)


def test_a_late_part_of_joined_recordings_is_the_same(tmp_path: Path) -> None:
    """Workers share a video by its segments: each has to find the same clock."""
    paths = [recording(tmp_path / f"{n}.ts", 0, 12, 20 + 60 * n) for n in range(3)]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(path.read_bytes() for path in paths))
    for sampling in (0.5, Sampling("count", 9), Sampling("scene", 7.0)):
        whole, late = Read(joined, sampling), Read(joined, sampling, first=2)
        wanted = [row for row in whole.rows if row["t_us"] >= 20 * SECOND]
        assert late.rows == wanted
        assert wanted


def test_a_short_gap_stays_a_gap(tmp_path: Path) -> None:
    joined = tmp_path / "joined.ts"
    first, second = recording(tmp_path / "a.ts", 0, 5, 20), recording(tmp_path / "b.ts", 60, 5, 20)
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    read = Read(joined)
    assert read.times[-6:] == [4_800_000, *(n * SECOND for n in range(60, 65))]
    assert read.codes == []


def test_cues_follow_the_clock(tmp_path: Path) -> None:
    """A cue of the second recording stands where its pictures are."""
    joined = tmp_path / "joined.mkv"
    parts = []
    for number in range(2):
        path = tmp_path / f"{number}.mkv"
        with av.open(str(path), "w") as container:
            pictures: Any = container.add_stream("mpeg4", rate=1)
            pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
            words: Any = container.add_mux_stream("srt")
            for second in range(10):
                frame = av.VideoFrame(64, 48, "yuv420p")
                frame.pts = second
                container.mux(pictures.encode(frame))
                if second == 2:
                    cue = av.Packet(f"word {number}".encode())
                    cue.stream, cue.time_base = words, Fraction(1, 1000)
                    cue.pts = cue.dts = 2000
                    cue.duration = 1000
                    container.mux(cue)
            container.mux(pictures.encode(None))
        parts.append(path.read_bytes())
    joined.write_bytes(b"".join(parts))
    assert [shard.subtitles for shard in Read(joined).shards] == ["word 0", "word 1"]


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "ts"])
@pytest.mark.parametrize("late", [5.0, 0.4])
def test_times_count_from_the_start_of_the_sound(tmp_path: Path, suffix: str, late: float) -> None:
    path = tmp_path / f"a.{suffix}"
    with av.open(str(path), "w") as container:
        pictures: Any = container.add_stream("mpeg4", rate=5)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        sound: Any = container.add_stream("mp2", rate=48000, layout="mono")
        for number in range(50):
            frame = av.VideoFrame(64, 48, "yuv420p")
            frame.pts = number
            container.mux(shifted(pictures.encode(frame), late))
        container.mux(shifted(pictures.encode(None), late))
        silence = np.zeros((1, 1152), np.int16)
        for number in range(400):
            heard = av.AudioFrame.from_ndarray(silence, format="s16", layout="mono")
            heard.sample_rate, heard.pts = 48000, 1152 * number
            container.mux(sound.encode(heard))
        container.mux(sound.encode(None))
    read = Read(path, Sampling("count", 50))
    wanted = [(late + number / 5) * SECOND for number in range(50)]
    assert read.times == pytest.approx(wanted, abs=20_000)
    first, second = Read(path).rows[:2]
    assert first["t_us"] == pytest.approx(late * SECOND, abs=20_000)
    assert (first["frame_no"], second["frame_no"]) == (int(late), int(late) + 1)


def test_frames_of_one_time_are_counted(tmp_path: Path) -> None:
    """2,000 frames a second in a container of milliseconds."""
    read = Read(video(tmp_path / "a.mkv", 0.2, fps=2000))
    assert len(read.rows) == 1
    assert read.codes == ["frames_dropped"]
    assert 150 <= sum(one.dropped_frames for one in read.warnings) <= 250


@pytest.mark.parametrize("lost", [100, 188 * 7 + 3, 1])
@pytest.mark.parametrize("size", [188, 192, 204])
def test_a_transport_stream_that_begins_in_a_packet(tmp_path: Path, size: int, lost: int) -> None:
    data = recording(tmp_path / "a.ts", 0, 12, 20).read_bytes()
    packets = [data[at : at + 188] for at in range(0, len(data), 188)]
    if size == 192:
        packets = [bytes(4) + packet for packet in packets]
    if size == 204:
        packets = [packet + bytes(16) for packet in packets]
    path = tmp_path / "b.ts"
    path.write_bytes(b"".join(packets)[lost:])
    read = Read(path)
    assert 11 <= len(read.rows) <= 12
    assert read.greys() == sorted(read.greys())


def test_what_comes_before_the_first_key_frame_is_no_picture(tmp_path: Path) -> None:
    data = recording(tmp_path / "a.ts", 0, 12, 20, gop=25).read_bytes()
    path = tmp_path / "b.ts"
    path.write_bytes(data[: 188 * 3] + data[len(data) // 4 // 188 * 188 :])
    read = Read(path)
    assert read.codes == ["frames_dropped"]
    assert read.warnings[0].dropped_frames == read.times[0] // 200_000
    assert read.greys()[0] == pytest.approx(45, abs=2)  # of the second key frame


def test_a_piece_of_a_stream_says_what_it_lacks(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mp4", 12, movflags="frag_keyframe+empty_moov+default_base_moof")
    data = path.read_bytes()
    path.write_bytes(data[data.index(b"moof") - 4 :])
    with pytest.raises(InputError, match="initialisation segment") as caught:
        Read(path)
    assert caught.value.code == "corrupt"


def test_a_second_recording_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    path = recording(tmp_path / "a.mp4", 0, 3, 20)
    path.write_bytes(path.read_bytes() * 2)
    read = Read(path)
    assert (len(read.rows), read.codes) == (3, ["not_read"])


def test_flv_of_two_codecs_is_read_to_the_second(tmp_path: Path) -> None:
    first = recording(tmp_path / "a.flv", 0, 3, 20)
    second = recording(tmp_path / "b.flv", 0, 3, 20, codec="libx264")
    joined = tmp_path / "c.flv"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    read = Read(joined)
    assert (len(read.rows), read.codes) == (3, ["not_read"])
    assert f"at byte {first.stat().st_size};" in read.warnings[0].detail


def test_many_flv_of_h264_are_one(tmp_path: Path) -> None:
    """Each with a sequence header of its own, and pictures of another size."""
    paths = [
        recording(tmp_path / f"{n}.flv", 0, 3, 20 + 50 * n, codec="libx264", width=64 + 32 * n)
        for n in range(3)
    ]
    joined = tmp_path / "c.flv"
    joined.write_bytes(b"".join(path.read_bytes() for path in paths))
    read = Read(joined)
    assert read.times == pytest.approx([n * SECOND for n in range(9)], abs=SECOND / 5)
    greys = [20 + 50 * n + 5 * m for n in range(3) for m in range(3)]
    assert read.greys() == pytest.approx(greys, abs=6)
    assert [row["width"] for row in read.rows] == [64] * 3 + [96] * 3 + [128] * 3


def test_a_joined_avi_is_one_recording(tmp_path: Path) -> None:
    path = recording(tmp_path / "a.avi", 0, 3, 20)
    path.write_bytes(path.read_bytes() * 2)
    read = Read(path)
    assert read.times == [n * SECOND for n in range(6)]
    assert read.greys() == pytest.approx([20, 25, 30] * 2, abs=6)
    assert read.codes == []

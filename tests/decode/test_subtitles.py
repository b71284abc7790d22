"""Subtitles keep what people read, and are in every segment in which they are shown."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from av.packet import Packet

from pipeline.decode import DecodePlan, Sampling, decode
from pipeline.decode.subtitles import cues_beside
from schemas.shards import Shard
from services.ingest.texts import read_text

PLAN = DecodePlan(Sampling("rate", 1.0))
SECONDS = 35


def segments(path: Path, codec: str, cues: list[tuple[float, float, bytes]]) -> list[str]:
    """Subtitles of each segment of a video with a track of cues: start, length, what is stored."""
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("mpeg4", rate=1)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        make = container.add_stream if codec == "ass" else container.add_mux_stream
        track: Any = make(codec)
        if codec == "ass":
            track.codec_context.extradata = b"[Script Info]\n[Events]\n"
        packets = []
        for number in range(SECONDS):
            frame = av.VideoFrame(64, 48, "yuv420p")
            frame.pts = number
            packets += video.encode(frame)
        packets += video.encode(None)
        for start, length, data in cues:
            packet = Packet(data)
            packet.stream, packet.time_base = track, Fraction(1, 1000)
            packet.pts = packet.dts = round(start * 1000)
            packet.duration = round(length * 1000)
            packets.append(packet)
        for packet in sorted(packets, key=lambda one: one.dts * one.time_base):
            container.mux(packet)
    return [one.subtitles for one in decode(path, PLAN) if isinstance(one, Shard)]


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        ("if x < 5 and y > 3 then stop", "if x < 5 and y > 3 then stop"),
        ("f(x) = {a, b} over <今から>", "f(x) = {a, b} over <今から>"),
        ("<i>Tom &amp; Jerry</i>, List&lt;b&gt;", "Tom & Jerry, List<b>"),
        ('{\\an8}<font color="#fff">Up</font> there', "Up there"),
        ("two\nlines", "two lines"),
        ("<ingrid@example.org> wrote", "<ingrid@example.org> wrote"),
        ("a <b", "a <b"),
    ],
)
def test_subrip(tmp_path: Path, stored: str, read: str) -> None:
    assert segments(tmp_path / "a.mkv", "srt", [(1, 1, stored.encode())])[0] == read


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        ("Hello,\\hworld\\Nagain\nnext", "Hello, world again next"),
        ("{\\p1}m 0 0 l 100 0 100 100 0 100{\\p0}", ""),
        ("{\\p1}m 0 0 l 9 9{\\p0}After", "After"),
        ("{\\pos(5,5)}Placed", "Placed"),
        ("a <b> c", "a <b> c"),
    ],
)
def test_substation_alpha(tmp_path: Path, stored: str, read: str) -> None:
    event = f"0,0,Default,,0,0,0,,{stored}".encode()
    found = segments(tmp_path / "a.mkv", "ass", [(1, 1, event)])
    assert found[0] == read


def test_timed_text_has_no_tags(tmp_path: Path) -> None:
    words = b"if a < b > c & {d}"
    stored = len(words).to_bytes(2, "big") + words + b"\0\0\0\x08styl"
    assert segments(tmp_path / "a.mp4", "mov_text", [(1, 1, stored)])[0] == words.decode()


def test_a_cue_is_in_every_segment_in_which_it_is_shown(tmp_path: Path) -> None:
    cues = [(1.0, 27.0, b"long"), (5.0, 5.0, b"first"), (30.0, 1.0, b"last")]
    found = segments(tmp_path / "a.mkv", "srt", cues)
    assert found == ["long\nfirst", "long", "long", "last"]


BESIDE = {
    "srt": "1\n00:00:01,000 --> 00:00:02,500\n<i>One</i> {two}\n\n"
    "2\n0:00:03,0 --> 0:00:04,0\nMore\n",
    "vtt": "WEBVTT\n\n00:01.000 --> 00:02.500\n<v Ann>One</v> {two}\n\n"
    "00:03.000 --> 00:04.000\nMore\n",
    "ass": "[Script Info]\n\n[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, "
    "MarginV, Effect, Text\nDialogue: 0,0:00:01.00,0:00:02.50,D,,0,0,0,,{\\i1}One\\h\\{two\\}\n"
    "Dialogue: 0,0:00:03.00,0:00:04.00,D,,0,0,0,,More\n",
}


@pytest.mark.parametrize("kind", ["srt", "vtt"])
def test_files_beside_a_video(kind: str) -> None:
    assert cues_beside(BESIDE[kind]) == [
        (1_000_000, 2_500_000, "One {two}"),
        (3_000_000, 4_000_000, "More"),
    ]


def test_substation_alpha_beside_a_video() -> None:
    assert [(at, end) for at, end, _ in cues_beside(BESIDE["ass"])] == [
        (1_000_000, 2_500_000),
        (3_000_000, 4_000_000),
    ]


@pytest.mark.parametrize("text", ["", "nothing", "WEBVTT", "[Script Info]", "1\n2\n3\n", "\0" * 99])
def test_a_file_without_cues_has_none(text: str) -> None:
    assert cues_beside(text) == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings_of_files_beside(tmp_path: Path, encoding: str) -> None:
    text = "Größere Verspätungen auf fünf Strecken über Köln"
    (tmp_path / "a.srt").write_bytes(text.encode(encoding))
    assert read_text(tmp_path / "a.srt") == text


def test_cues_of_a_file_and_of_a_track_are_told_once(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    segments(path, "srt", [(1, 1.5, b"One {two}")])
    plan = replace(PLAN, subtitles=(BESIDE["srt"],))
    first = next(one for one in decode(path, plan) if isinstance(one, Shard))
    assert first.subtitles == "One {two}\nMore"

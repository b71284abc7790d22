"""Subtitles: the text tracks of a container, and the files beside it."""

import re
from collections.abc import Generator
from fractions import Fraction
from html import unescape
from io import BytesIO
from typing import Any, Final

import av
from av.container import InputContainer

from pipeline.decode.bitmaps import Pictures
from pipeline.decode.container import TEXT_CODECS
from pipeline.decode.reading import Reading
from pipeline.decode.source import microseconds

Cue = tuple[int, int, str]
"""Start, end and text, microseconds on the clock."""
_HEAD: Final = 1024  # characters
_MAX_CUES: Final = 100_000
_MAX_CHARACTERS: Final = 1 << 22
_OVERRIDE: Final = re.compile(r"\{\\[^}]*\}")
_BLOCK: Final = re.compile(r"\{[^}]*\}")
_DRAWING: Final = re.compile(r"\{[^}]*\\p[1-9][^}]*\}.*?(?=\{[^}]*\\p0|$)", re.S)
_BREAK: Final = re.compile(r"\\[Nnh]")
_TAG: Final = re.compile(
    r"</?(?:b|i|u|s|font|c|v|lang|ruby|rt)(?:[\s.][^<>]*)?>|<(?:\d+:)?\d\d:\d\d\.\d{3}>", re.I
)
_PROGRESS_PACKETS: Final = 4096


def text_tracks(container: InputContainer) -> list[Any]:
    """Subtitle streams that hold text rather than pictures."""
    return [
        stream
        for stream in container.streams.subtitles
        if stream.codec_context is not None and stream.codec_context.name in TEXT_CODECS
    ]


def read_cues(
    reading: Reading, start: int, pictures: Pictures, *, follows: bool
) -> Generator[int, None, list[Cue]]:
    """All cues of all text tracks, by demuxing them alone: decoding pictures may seek.

    Args:
        reading: open at its start; its position is lost.
        start: tick 0 of the video, on the clock's line.
        pictures: takes the packets of tracks of pictures.
        follows: whether to read the pictures' packets too, whose clock jumps, and follow it.

    Yields:
        0, as a sign of progress.
    """
    found: list[Cue] = []
    tracks = [*text_tracks(reading.container), *pictures.tracks]
    chosen = [*tracks, reading.stream] if tracks and follows else tracks
    room = _MAX_CHARACTERS
    try:
        for count, packet in enumerate(reading.container.demux(chosen) if chosen else ()):
            if count % _PROGRESS_PACKETS == 0:
                yield 0
            if packet.stream is reading.stream:
                reading.clock.move(packet)
                continue
            zero = (start - reading.clock.shift) * reading.base
            if packet.stream in pictures.tracks:
                yield from pictures.take(packet, zero)
                continue
            if packet.pts is None or len(found) >= _MAX_CUES or room < 0:
                continue
            if cue := _cue(packet, zero):
                found.append(cue)
                room -= len(cue[2])
    except av.FFmpegError:
        pass  # a damaged caption track takes no picture away
    pictures.finish()
    return found


def cues_beside(text: str) -> list[Cue]:
    """Cues of a SubRip, WebVTT or SubStation Alpha file; none of what is no such file."""
    found: list[Cue] = []
    head = text[:_HEAD]
    kind = "webvtt" if "WEBVTT" in head else "ass" if "[Script Info]" in head else "srt"
    try:
        with av.open(BytesIO(text.encode()), "r", format=kind) as container:
            for packet in container.demux(container.streams.subtitles[0]):
                if packet.pts is None or len(found) >= _MAX_CUES:
                    continue
                if cue := _cue(packet, Fraction(0)):
                    found.append(cue)
    except (av.FFmpegError, IndexError):
        pass  # it is said that it has no cue
    return found


def _cue(packet: Any, zero: Fraction) -> Cue | None:  # noqa: ANN401 - as below
    """The cue of a packet that has a time, which counts from `zero` seconds; None without words."""
    base = Fraction(packet.time_base)
    at, length = microseconds(packet.pts * base - zero), microseconds((packet.duration or 0) * base)
    text = _text(packet)
    return (max(at, 0), at + length, text) if text else None


def _text(packet: Any) -> str:  # noqa: ANN401 - PyAV leaves the kind of packet open
    """The words of a cue, as its codec marks them up."""
    data, codec = bytes(packet), packet.stream.codec_context.name
    if codec == "mov_text":
        words = _timed_text(data)
    else:
        words = data.decode(errors="replace")
        words = _styled(words) if codec in ("ass", "ssa") else _tagged(words)
    return " ".join(words.replace("\0", "").split())


def _timed_text(data: bytes) -> str:
    """The text of a sample of 3GPP Timed Text (TS 26.245, section 5.17), which has no mark-up."""
    text = data[2 : 2 + int.from_bytes(data[:2], "big")]
    is_wide = text[:2] in (b"\xfe\xff", b"\xff\xfe")
    return text.decode("utf-16" if is_wide else "utf-8", errors="replace")


def _styled(event: str) -> str:
    """The text of an event of SubStation Alpha: its ninth field, without drawings."""
    text = event.split(",", 8)[-1]
    shown = _BLOCK.sub("", _DRAWING.sub("", text))
    return _BREAK.sub(" ", shown)


def _tagged(cue: str) -> str:
    """The text of SubRip and WebVTT: what only looks like a tag stays."""
    return unescape(_TAG.sub("", _OVERRIDE.sub("", cue)).replace("\\h", " "))

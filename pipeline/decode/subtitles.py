"""Subtitles: the embedded text tracks of a container."""

import re
from collections.abc import Generator
from fractions import Fraction
from typing import Any, Final

import av
from av.container import InputContainer

from pipeline.decode.container import TEXT_CODECS
from pipeline.decode.segments import Cues
from pipeline.decode.source import microseconds

_MAX_CUES: Final = 100_000
_MAX_CHARACTERS: Final = 1 << 22
_OVERRIDE: Final = re.compile(r"\{[^}]*\}|<[^>]*>")
_PROGRESS_PACKETS: Final = 4096


def text_tracks(container: InputContainer) -> list[Any]:
    """Subtitle streams that hold text rather than pictures."""
    return [
        stream
        for stream in container.streams.subtitles
        if stream.codec_context is not None and stream.codec_context.name in TEXT_CODECS
    ]


def read_cues(container: InputContainer, start: Fraction) -> Generator[int, None, Cues]:
    """All cues of all text tracks, by demuxing them alone: decoding pictures may seek.

    Args:
        container: open at its start; its position is lost.
        start: container time of the first video frame, seconds.

    Yields:
        0, as a sign of progress.
    """
    found: list[tuple[int, int, str]] = []
    tracks = text_tracks(container)
    room = _MAX_CHARACTERS
    try:
        for count, packet in enumerate(container.demux(tracks) if tracks else ()):
            if count % _PROGRESS_PACKETS == 0:
                yield 0
            if packet.pts is None or len(found) >= _MAX_CUES or room < 0:
                continue
            at = microseconds(packet.pts * Fraction(packet.time_base) - start)
            for text in _texts(packet):
                found.append((max(at, 0), packet.stream_index, text))
                room -= len(text)
    except av.FFmpegError:
        pass  # a damaged caption track takes no picture away
    found.sort(key=lambda cue: cue[:2])
    return Cues([at for at, _, _ in found], [text for _, _, text in found])


def _texts(packet: Any) -> list[str]:  # noqa: ANN401 - PyAV leaves the kind of packet open
    rects: list[Any] = []
    for item in packet.decode():
        rects += list(getattr(item, "rects", [item]))
    return [text for text in map(_text, rects) if text]


def _text(rect: Any) -> str:  # noqa: ANN401 - bitmap subtitles have neither attribute
    raw = getattr(rect, "dialogue", None) or getattr(rect, "text", None) or b""
    text = raw.decode(errors="replace") if isinstance(raw, bytes) else str(raw)
    return " ".join(_OVERRIDE.sub("", text.replace("\\N", " ").replace("\0", "")).split())

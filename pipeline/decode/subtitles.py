"""Subtitles: the embedded text tracks of a container."""

import re
from fractions import Fraction
from typing import Any, Final

import av
from av.container import InputContainer

from pipeline.decode.segments import MICRO, Cues

_TEXT_CODECS: Final = frozenset(["mov_text", "subrip", "srt", "ass", "ssa", "webvtt", "text"])
_MAX_CUES: Final = 100_000
_OVERRIDE: Final = re.compile(r"\{[^}]*\}|<[^>]*>")


def text_tracks(container: InputContainer) -> list[Any]:
    """Subtitle streams that hold text rather than pictures."""
    return [
        stream
        for stream in container.streams.subtitles
        if stream.codec_context is not None and stream.codec_context.name in _TEXT_CODECS
    ]


def read_cues(container: InputContainer, start: Fraction) -> Cues:
    """All cues of the first text track, by demuxing that track alone.

    Args:
        container: open; its position is lost.
        start: container time of the first video frame, seconds.
    """
    cues = Cues()
    tracks = text_tracks(container)
    if not tracks:
        return cues
    container.seek(0, backward=True)
    try:
        for packet in container.demux(tracks[0]):
            if packet.pts is None or len(cues.starts) >= _MAX_CUES:
                continue
            at = round((packet.pts * Fraction(packet.time_base) - start) * MICRO)
            for text in filter(None, map(_text, _rects(packet))):
                cues.starts.append(max(at, 0))
                cues.texts.append(text)
    except av.FFmpegError:
        return cues  # a damaged caption track takes no picture away
    return cues


def _rects(packet: Any) -> list[Any]:  # noqa: ANN401 - PyAV has two shapes of decoded subtitles
    found: list[Any] = []
    for item in packet.decode():
        found += list(getattr(item, "rects", [item]))
    return found


def _text(rect: Any) -> str:  # noqa: ANN401
    raw = getattr(rect, "dialogue", None) or getattr(rect, "text", None) or b""
    text = raw.decode(errors="replace") if isinstance(raw, bytes) else str(raw)
    return " ".join(_OVERRIDE.sub("", text.replace("\\N", " ")).split())

"""Tracks: subtitles that are pictures, each with its time, in bounds."""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any, Final

from av.container import InputContainer

from pipeline.decode.bitmaps.dvb import Dvb
from pipeline.decode.bitmaps.legible import legible
from pipeline.decode.bitmaps.pgs import Pgs
from pipeline.decode.bitmaps.screen import Decoder, MakeDecoder, Screen
from pipeline.decode.bitmaps.vobsub import VobSub
from pipeline.decode.plan import DecodePlan
from pipeline.decode.source import microseconds
from schemas.cues import CuePicture
from schemas.shards import MediaWarning

_DECODERS: Final[Mapping[str, MakeDecoder]] = {
    "pgssub": Pgs,
    "dvbsub": Dvb,
    "dvdsub": VobSub,
}
_TRACKS: Final = 32  # that a Blu-ray disc may have
_CUES: Final = 60_000  # of all tracks: more than a disc of 32 languages has
_BYTES: Final = 1 << 28  # of all pictures
_LATEST_US: Final = 1 << 53  # in 285 years
_LONGEST_US: Final = 600_000_000  # that one may stand: every segment that it is in keeps it
_TAG: Final = 35  # letters, of the longest name of a language that is in use
_DAMAGE: Final = (ValueError, LookupError, struct.error)


def picture_tracks(container: InputContainer) -> list[Any]:
    """Subtitle streams of pictures that can be read."""
    return [
        stream
        for stream in container.streams.subtitles
        if stream.codec_context is not None and stream.codec_context.name in _DECODERS
    ][:_TRACKS]


class Pictures:
    """The pictures that a container's tracks show in the parts of a plan.

    Attributes:
        tracks: the streams whose packets are taken; none unless the plan asks for them.
        cues: what they have shown.
    """

    def __init__(self, container: InputContainer, plan: DecodePlan, size: tuple[int, int]) -> None:
        """Take the tracks of a container, and the size of its video."""
        self.tracks = picture_tracks(container) if plan.subtitle_pictures else []
        self.cues: list[CuePicture] = []
        self._shown = {stream.index: _Track(stream, size) for stream in self.tracks}
        self._start = plan.first_part * plan.segment_us
        self._stop = None if plan.stop_part is None else plan.stop_part * plan.segment_us
        self._room, self._damaged, self._more = _BYTES, 0, 0

    def take(self, packet: Any, zero: Fraction) -> Iterator[int]:  # noqa: ANN401 - of any kind
        """Take a packet of one of the tracks, whose time counts from `zero` seconds.

        Yields:
            0, as a sign of progress.
        """
        if packet.pts is None:
            return
        track = self._shown[packet.stream.index]
        at = microseconds(packet.pts * Fraction(packet.time_base) - zero)
        if abs(at) > _LATEST_US:
            self._damaged += 1
            return
        try:
            for screen, end in track.feed(at, bytes(packet)):
                self._keep(track, screen, end)
                yield 0
        except _DAMAGE:
            self._damaged += 1

    def finish(self) -> None:
        """End what is shown last: no end was said."""
        for track in self._shown.values():
            if (screen := track.shown) is not None:
                self._keep(track, screen, screen.at + _LONGEST_US)

    def warnings(self) -> Iterator[MediaWarning]:
        """What was not kept."""
        if self._damaged:
            what = "pictures of subtitles that are damaged or too large"
            yield MediaWarning("not_read", f"{what}: {self._damaged}")
        if self._more:
            what = f"pictures of subtitles beyond {_CUES} or {_BYTES >> 20} MiB"
            yield MediaWarning("not_read", f"{what}: {self._more}")

    def _keep(self, track: "_Track", screen: Screen, end: int) -> None:
        start = max(screen.at, 0)
        end = min(end, start + _LONGEST_US, end if screen.until is None else screen.until)
        if end <= max(start, self._start) or (self._stop is not None and start >= self._stop):
            return
        if len(self.cues) >= _CUES or self._room < 0:
            self._more += 1
            return
        try:
            found = legible(screen.draw(), screen.size)
        except _DAMAGE:
            self._damaged += 1
            return
        if found is not None:
            (x0, y0, x1, y1), image = found
            width, height = screen.size
            box = x0 / width, y0 / height, x1 / width, y1 / height
            self.cues.append(CuePicture(start, end, box, track.language, image))
            self._room -= len(image)


class _Track:
    """One track, and what it shows now."""

    def __init__(self, stream: Any, size: tuple[int, int]) -> None:  # noqa: ANN401 - no class
        codec = stream.codec_context
        self._decoder: Decoder = _DECODERS[codec.name](bytes(codec.extradata or b""), size)
        language = stream.metadata.get("language")
        self.language: str | None = language[:_TAG] if language not in (None, "und") else None
        self.shown: Screen | None = None

    def feed(self, at: int, data: bytes) -> Iterator[tuple[Screen, int]]:
        """What ends with this packet, and when; the same that is shown on does not."""
        for screen in self._decoder.feed(at, data):
            before = self.shown
            if before is not None and before.key == screen.key:
                self.shown = replace(before, until=screen.until)
                continue
            self.shown = None if screen.key is None else screen
            if before is not None:
                yield before, screen.at

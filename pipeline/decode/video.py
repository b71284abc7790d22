"""Video: containers to presented frames with exact times, by PyAV, inside the child."""

from collections.abc import Generator, Iterable, Iterator
from fractions import Fraction
from functools import partial
from itertools import chain
from typing import BinaryIO, Final, cast

import av
from av.video.frame import VideoFrame

from pipeline.decode.bitmaps import Pictures, picture_tracks
from pipeline.decode.clock import LONGEST_S
from pipeline.decode.container import VideoPacket
from pipeline.decode.crop import Crop, crops_of
from pipeline.decode.display import Display
from pipeline.decode.joined import as_one
from pipeline.decode.oddities import oddities
from pipeline.decode.plan import DecodePlan, Limits
from pipeline.decode.reading import Reading, Timed
from pipeline.decode.segments import Cues, cut_segments
from pipeline.decode.source import MICRO, Presented, Wanted, microseconds, unseen
from pipeline.decode.subtitles import cues_beside, read_cues, text_tracks
from pipeline.decode.tail import tail_of
from schemas.errors import InputError
from schemas.shards import MediaInfo, MediaWarning, Shard

_SEEKABLE: Final = ("mov", "matroska", "mpegts")
_STEPS_BACK_S: Final = (0, 2, 20)
_PROGRESS_PACKETS: Final = 4096


class Video:
    """One video stream of a container; a `Source`.

    Tick 0 is where the container starts, as players count: that may be sound before the picture.
    """

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        """Open and check a container.

        Raises:
            InputError: `truncated`, `corrupt`, `no_video_stream`, `codec_refused`, `too_large`.
        """
        file = as_one(file)
        self._file, self._limits = file, limits
        self._tail = tail_of(file)
        self._decoded = self._dropped = self._furthest = self.end = 0
        self._jumps = self._length = self._skipped = 0
        crops = crops_of(file)  # first: a container that is open does not expect its file to move
        self._awaits_key = True
        try:
            self._reading = Reading(file, limits)
        except InputError as error:
            if self._tail.is_cut and error.code == "corrupt":
                raise _truncated() from error
            raise
        self.time_base = self._reading.base
        self.can_seek = any(one in self._reading.container.format.name for one in _SEEKABLE)
        self._begins, frame = self._first_frame()
        self._start = self._zero()
        self.first = self._begins - self._start
        stream = self._reading.stream
        number = list(self._reading.container.streams.video).index(stream)
        crop = crops[number] if number < len(crops) else Crop()
        self._display = Display(
            crop, stream.sample_aspect_ratio, stream.codec_context.sample_aspect_ratio
        )
        self._size = self._display.size(frame, None)
        self._rotation = self._display.upright(frame).degrees

    def survey(self) -> Iterator[int]:
        """Read all packets where the times may begin anew: then no index leads anywhere.

        Yields:
            0, as a sign of progress.
        """
        if not self._reading.may_jump(self._tail.is_single):
            return
        self._reopen()
        for count, _ in enumerate(self._reading.packets()):
            if count % _PROGRESS_PACKETS == 0:
                yield 0
        clock = self._reading.clock
        if clock.jumps and clock.end is not None:
            self._jumps, self._length, self.can_seek = clock.jumps, clock.end - self._start, False

    def info(self) -> MediaInfo:
        """Facts of the medium."""
        container, stream = self._reading.container, self._reading.stream
        rate, duration = stream.average_rate, container.duration
        if self._jumps:
            duration = microseconds(self._length * self.time_base)
        width, height = self._size
        return MediaInfo(
            kind="video",
            container=container.format.name,
            codec=stream.codec_context.name,
            width=width,
            height=height,
            rotation=self._rotation,
            duration_us=int(duration) if duration and duration > 0 else None,
            start_us=microseconds(self._start * self.time_base),
            fps_num=rate.numerator if rate else 0,
            fps_den=rate.denominator if rate else 1,
            subtitle_tracks=len(text_tracks(container)),
        )

    def shards(self, plan: DecodePlan) -> Iterator[Shard | MediaWarning | int]:
        """Decode, sample and cut.

        Raises:
            InputError: also `truncated` and `corrupt`, after the parts that could be decoded.
        """
        yield from oddities(self._reading.container, plan, self._tail, self._jumps, self._skipped)
        self._reopen()
        container = self._reading.container
        pictures = Pictures(container, plan, self._size)
        cues = yield from read_cues(self._reading, self._start, pictures, follows=bool(self._jumps))
        yield from pictures.warnings()
        is_drawn = plan.subtitle_pictures or not picture_tracks(container)
        beside = [cues_beside(text) for text in plan.subtitles]
        if not all(beside):
            yield MediaWarning("not_read", "a subtitle file beside it holds no cue")
        cues += chain.from_iterable(beside)
        drawn = list(dict.fromkeys(pictures.cues)) if is_drawn else None
        shown = Cues(sorted(set(cues)), drawn)
        yield from cut_segments(self, plan, self._limits, shown)
        if self._dropped:
            parts = f"segments from {plan.first_part} on"
            detail = f"{self._dropped} frames of {parts} have no time of their own"
            yield MediaWarning("frames_dropped", detail, self._dropped)

    def frames(self, at: int = 0, wanted: Wanted | None = None) -> Iterator[Presented]:
        """All frames in order of presentation, from one at or before tick `at` on.

        Those that are not wanted may have no picture, but where times begin anew or the end of
        the file is missing: what is wrong with it is found by decoding.

        Raises:
            InputError: `truncated`, `corrupt` or `too_large`.
        """
        wanted = None if self._jumps or self._tail.is_cut else wanted
        for back in _STEPS_BACK_S if self.can_seek else ():
            tick = at - int(back / self.time_base)
            if tick <= self.first:
                break
            found = self._from_key(tick, wanted)
            first = next(found, None)
            if first is not None and first.tick <= at:
                yield first
                yield from found
                return
        else:
            self.can_seek = self.can_seek and at <= 0  # its index leads nowhere: do not try again
        self._reopen()
        yield from self._presented(self._reading.packets(), self._begins, wanted)

    def ticks(self) -> Generator[None, None, list[int]]:
        """Times of all frames, by reading the packets; by decoding where they have no times."""
        self._reopen()
        times: list[int] = []
        for count, packet in enumerate(self._reading.packets()):
            if count % _PROGRESS_PACKETS == 0:
                yield
            time = self._reading.time_of(packet)
            if time is None and packet.size:
                return (yield from self._decoded_ticks())
            if time is not None and not packet.is_discard and time >= self._begins:
                times.append(time - self._start)
        return sorted(set(times))

    def _decoded_ticks(self) -> Generator[None, None, list[int]]:
        times = []
        for frame in self.frames():
            times.append(frame.tick)
            if len(times) % 32 == 0:
                yield
        return times

    def _reopen(self) -> None:
        """Go back to the start; what was damaged until now stays known."""
        damaged = self._reading.damaged
        self._reading.close()
        self._reading = Reading(self._file, self._limits, awaits_key=self._awaits_key)
        self._reading.damaged = damaged

    def _first_frame(self) -> tuple[int, VideoFrame]:
        """The first one from a key frame on; some streams never have any."""
        for awaits_key in (True, False):
            if not awaits_key:
                self._awaits_key = False
                self._reopen()
            for timed in self._reading.frames(self._reading.packets()):
                self._skipped = self._reading.skipped
                assert timed.frame is not None
                return timed.at, timed.frame
            if not self._reading.skipped:
                break
        if self._tail.is_cut:
            raise _truncated()
        message = "its video stream holds no frame that can be decoded; record or fetch it again"
        raise InputError("corrupt", message)

    def _zero(self) -> int:
        """The container's start on the stream's clock; the first frame's where that is far off."""
        first = self._begins
        start = cast("int | None", self._reading.container.start_time)
        if start is None:
            return first
        zero = round(Fraction(start, MICRO) / self.time_base)
        return zero if 0 <= first - zero <= LONGEST_S / self.time_base else first

    def _from_key(self, tick: int, wanted: Wanted | None) -> Iterator[Presented]:
        """Frames from the key frame that the index gives for `tick`; none if it gives none."""
        try:
            self._reading.seek(self._start + tick)
            packets = self._reading.packets()
            for packet in packets:
                if packet.is_keyframe and packet.pts is not None:
                    break
            else:
                return
            # Frames shown before the key frame lean on pictures that were never decoded.
            key = packet.pts
            yield from self._presented(_chain(packet, packets), key, wanted)
        except av.FFmpegError:
            return

    def _presented(
        self, packets: Iterable[VideoPacket], since: int, wanted: Wanted | None
    ) -> Iterator[Presented]:
        """Frames in order; at the end, what was wrong with them.

        Raises:
            InputError: `truncated` or `corrupt`.
        """
        reading, start, last = self._reading, self._start, -1
        on_line = wanted and (lambda at, until: wanted(at - start, until - start))
        for timed in reading.frames(packets, on_line):
            tick = timed.at - start
            if timed.at < since or tick < 0:
                continue
            if tick <= last:
                self._dropped += last >= self._furthest  # else it was counted on the way before
                continue
            last = tick
            self._furthest = max(self._furthest, tick)
            # Of all, that of the last one counts, which is decoded.
            self.end = tick + min(timed.length, int(LONGEST_S / self.time_base))
            self._decoded += 1
            if self._decoded > self._limits.frames:
                message = f"more than {self._limits.frames} frames; cut the video into parts"
                raise InputError("too_large", message)
            yield self._one(timed, tick)
        self._judge()

    def _one(self, timed: Timed, tick: int) -> Presented:
        pts = self._reading.clock.original(timed.at)
        if timed.frame is None:
            return Presented(tick, pts, timed.is_key, unseen, unseen)
        coded = self._reading.stream.codec_context.sample_aspect_ratio
        return Presented(
            tick,
            pts,
            timed.is_key,
            partial(self._display.picture, timed.frame),
            partial(self._display.thumbnail, timed.frame),
            partial(self._display.size, timed.frame, coded),
        )

    def _judge(self) -> None:
        """Say at the end of the stream what was lost on the way."""
        if self._tail.is_cut:
            raise _truncated()
        if damaged := self._reading.damaged:
            message = f"{damaged} of its packets are damaged; fetch or re-encode it"
            raise InputError("corrupt", message)


def _truncated() -> InputError:
    message = "the file ends before its content does; fetch or record it again"
    return InputError("truncated", message)


def _chain(first: VideoPacket, rest: Iterator[VideoPacket]) -> Iterator[VideoPacket]:
    yield first
    yield from rest

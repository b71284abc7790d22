"""Video: containers to presented frames with exact times, by PyAV, inside the child."""

from collections.abc import Generator, Iterable, Iterator
from fractions import Fraction
from functools import partial
from heapq import heappop, heappush
from typing import BinaryIO, Final, TypeAlias

import av
import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image

from pipeline.decode.container import choose_stream, moving_pictures, open_container
from pipeline.decode.plan import DecodePlan, Limits
from pipeline.decode.segments import cut_segments
from pipeline.decode.source import MICRO, Presented, microseconds
from pipeline.decode.subtitles import read_cues, text_tracks
from pipeline.decode.tail import tail_of
from pipeline.decode.upright import Upright
from schemas.errors import InputError
from schemas.shards import MediaInfo, MediaWarning, Shard

_SEEKABLE: Final = ("mov", "matroska", "mpegts")
_STEPS_BACK_S: Final = (0, 2, 20)
_PROGRESS_PACKETS: Final = 4096
_DISORDERED: Final = 16
_LONGEST_S: Final = 3600  # that a frame may stand; more is a damaged number

VideoPacket: TypeAlias = "Packet[VideoStream]"  # a class that only type checkers can subscript


class Video:
    """One video stream of a container; a `Source`."""

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        """Open and check a container.

        Raises:
            InputError: `truncated`, `corrupt`, `no_video_stream`, `codec_refused`, `too_large`.
        """
        self._file, self._limits = file, limits
        self._is_cut, self._odd_tail = tail_of(file)
        self._damaged = self._disordered = self._decoded = self.end = 0
        # Kept, because setting one up costs more than using it.
        self._to_rgb, self._to_small = VideoReformatter(), VideoReformatter()
        try:
            self._open()
        except InputError as error:
            if self._is_cut and error.code == "corrupt":
                raise self._truncated() from error
            raise
        self.time_base = Fraction(self._stream.time_base or Fraction(1, MICRO))
        format_ = self._container.format.name
        self.can_seek, self._is_avi = any(one in format_ for one in _SEEKABLE), "avi" in format_
        self._start, self._first = self._first_frame()
        self._first_coded = self._coded_ratio()

    def info(self) -> MediaInfo:
        """Facts of the medium."""
        rate, duration = self._stream.average_rate, self._container.duration
        width, height = self._shown(self._first, self._first_coded)
        return MediaInfo(
            kind="video",
            container=self._container.format.name,
            codec=self._stream.codec_context.name,
            width=width,
            height=height,
            rotation=Upright.of(self._first).degrees,
            duration_us=int(duration) if duration and duration > 0 else None,
            start_us=microseconds(self._start * self.time_base),
            fps_num=rate.numerator if rate else 0,
            fps_den=rate.denominator if rate else 1,
            subtitle_tracks=len(text_tracks(self._container)),
        )

    def shards(self, plan: DecodePlan) -> Iterator[Shard | MediaWarning | int]:
        """Decode, sample and cut.

        Raises:
            InputError: also `truncated` and `corrupt`, after the parts that could be decoded.
        """
        yield from self._warnings()
        self._reopen()
        cues = yield from read_cues(self._container, self._start * self.time_base)
        yield from cut_segments(self, plan, self._limits, cues)

    def _warnings(self) -> Iterator[MediaWarning]:
        """What is odd about the file, or not read of it."""
        if self._odd_tail:
            yield self._odd_tail
        if more := len(moving_pictures(self._container)) - 1:
            yield MediaWarning("not_read", f"{more} more video tracks; the main one is read")

    def frames(self, at: int = 0) -> Iterator[Presented]:
        """All frames in order of presentation, from one at or before tick `at` on.

        Raises:
            InputError: `truncated`, `corrupt` or `too_large`.
        """
        for back in _STEPS_BACK_S if self.can_seek else ():
            tick = at - int(back / self.time_base)
            if tick <= 0:
                break
            found = self._from_key(tick)
            first = next(found, None)
            if first is not None and first.tick <= at:
                yield first
                yield from found
                return
        else:
            self.can_seek = self.can_seek and at <= 0  # its index leads nowhere: do not try again
        self._reopen()
        yield from self._whole()

    def ticks(self) -> Generator[None, None, list[int]]:
        """Times of all frames, by reading the packets; by decoding where they have no times."""
        self._reopen()
        times: list[int] = []
        for count, packet in enumerate(self._packets()):
            if count % _PROGRESS_PACKETS == 0:
                yield
            time = self._time_of(packet)
            if time is None and packet.size:
                return (yield from self._decoded_ticks())
            if time is not None and not packet.is_discard and time >= self._start:
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
        """Go back to the start; an index grows with the video, so two are never held at once."""
        self._container.close()
        self._open()

    def _open(self) -> None:
        self._container = open_container(self._file)
        self._stream = choose_stream(self._container, self._limits)

    def _first_frame(self) -> tuple[int, VideoFrame]:
        for pts, frame in self._timed(self._packets()):
            return pts, frame
        if self._is_cut:
            raise self._truncated()
        message = "its video stream holds no frame that can be decoded; record or fetch it again"
        raise InputError("corrupt", message)

    def _from_key(self, tick: int) -> Iterator[Presented]:
        """Frames from the key frame that the index gives for `tick`; none if it gives none."""
        try:
            self._container.seek(self._start + tick, stream=self._stream)
            packets = self._packets()
            for packet in packets:
                if packet.is_keyframe and packet.pts is not None:
                    break
            else:
                return
            # Frames shown before the key frame lean on pictures that were never decoded.
            key = packet.pts
            yield from self._presented(_chain(packet, packets), key)
        except av.FFmpegError:
            return

    def _whole(self) -> Iterator[Presented]:
        """All frames; at the end, what was wrong with them.

        Raises:
            InputError: `truncated` or `corrupt`.
        """
        yield from self._presented(self._packets(), self._start)

    def _presented(self, packets: Iterable[VideoPacket], since: int) -> Iterator[Presented]:
        last = -1
        for pts, frame in self._timed(packets):
            tick = pts - self._start
            if pts < since or tick < 0:
                continue
            if tick <= last:
                self._disordered += 1
                continue
            last = tick
            self.end = tick + min(int(frame.duration or 0), int(_LONGEST_S / self.time_base))
            self._decoded += 1
            if self._decoded > self._limits.frames:
                message = f"more than {self._limits.frames} frames; cut the video into parts"
                raise InputError("too_large", message)
            yield Presented(
                tick,
                pts,
                bool(frame.key_frame),
                partial(self._rgb, frame),
                partial(self._thumbnail, frame),
                partial(self._shown, frame, self._coded_ratio()),
            )
        self._judge()

    def _judge(self) -> None:
        """Say at the end of the stream what was lost on the way."""
        if self._is_cut:
            raise self._truncated()
        if self._damaged:
            message = f"{self._damaged} of its packets are damaged; fetch or re-encode it"
            raise InputError("corrupt", message)
        if self._disordered > _DISORDERED:
            message = f"times of {self._disordered} frames run backwards; remux it"
            raise InputError("corrupt", message)

    def _truncated(self) -> InputError:
        message = "the file ends before its content does; fetch or record it again"
        return InputError("truncated", message)

    def _packets(self) -> Iterator[VideoPacket]:
        """Packets up to the end, or up to where the file is cut or damaged."""
        try:
            yield from self._container.demux(self._stream)
        except MemoryError:
            raise
        except av.FFmpegError:
            self._damaged += 1

    def _timed(self, packets: Iterable[VideoPacket]) -> Iterator[tuple[int, VideoFrame]]:
        """Frames in the order in which they are shown, with the container's times."""
        times: list[int] = []
        last = 0
        for packet in packets:
            time = self._time_of(packet)
            if self._is_avi and packet.size and time is not None:
                heappush(times, time)
            for frame in self._decode(packet):
                found = frame.pts if frame.pts is not None else frame.dts
                if times:
                    found = heappop(times)
                last = found if found is not None else last + max(1, int(frame.duration or 1))
                yield last, frame

    def _time_of(self, packet: VideoPacket) -> int | None:
        """When some frame is shown: AVI has times of decoding alone; sorted, they are those."""
        return packet.dts if self._is_avi else packet.pts

    def _decode(self, packet: VideoPacket) -> list[VideoFrame]:
        try:
            return [frame for frame in packet.decode() if isinstance(frame, VideoFrame)]
        except MemoryError:
            raise
        except av.error.EOFError:
            return []
        except av.FFmpegError:
            # What comes before the first frame is the tail of a group that began earlier.
            self._damaged += self._decoded > 0
            return []

    def _coded_ratio(self) -> Fraction | None:
        """The shape of pixels that the decoder has come to."""
        return self._stream.codec_context.sample_aspect_ratio

    def _shown(self, frame: VideoFrame, coded: Fraction | None) -> tuple[int, int]:
        """Width and height as displayed: with the pixels' shape, upright."""
        ratio = self._stream.sample_aspect_ratio or Fraction(1)  # the container's, if it has one
        if coded and coded != self._first_coded:  # it has changed on the way
            ratio = coded
        width = max(1, round(frame.width * ratio)) if ratio > 0 else frame.width
        return (frame.height, width) if Upright.of(frame).swaps else (width, frame.height)

    def _rgb(self, frame: VideoFrame) -> Image.Image:
        values = self._to_rgb.reformat(frame, format="rgb24").to_ndarray()
        return Image.fromarray(
            np.ascontiguousarray(Upright.of(frame).turned(values.astype(np.uint8, copy=False)))
        )

    def _thumbnail(self, frame: VideoFrame, width: int, height: int) -> NDArray[np.uint8]:
        small = self._to_small.reformat(
            frame, width=width, height=height, format="rgb24", interpolation="AREA"
        )
        return small.to_ndarray().astype(np.uint8)


def _chain(first: VideoPacket, rest: Iterator[VideoPacket]) -> Iterator[VideoPacket]:
    yield first
    yield from rest

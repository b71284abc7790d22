"""Reading: one way through a video file, from packets to decoded frames with their times."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from heapq import heappop, heappush
from itertools import pairwise
from typing import BinaryIO, Final

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from pipeline.decode.clock import LONGEST_S, Clock
from pipeline.decode.container import VideoPacket, choose_stream, decoder_of, open_container
from pipeline.decode.plan import Limits
from pipeline.decode.source import MICRO, Wanted
from pipeline.decode.unwanted import Unwanted, may_leave_out

_PATIENCE: Final = 1000
"""Packets that may come before the first key frame; a stream without any is taken as it is."""


@dataclass(frozen=True)
class Timed:
    """A frame.

    Attributes:
        at: when it is shown, ticks, on the clock's line.
        is_key: whether it is a key frame.
        frame: what was decoded; None for one that nobody wants.
    """

    at: int
    is_key: bool
    frame: VideoFrame | None

    @property
    def length(self) -> int:
        """How long it is shown, ticks, as far as it is known."""
        return int(self.frame.duration or 0) if self.frame else 0


class Reading:
    """An open container at some position.

    Attributes:
        skipped: packets of pictures that lean on one before the beginning.
        damaged: packets that could not be decoded.
    """

    def __init__(self, file: BinaryIO, limits: Limits, *, awaits_key: bool = True) -> None:
        """Open a file at its start.

        Raises:
            InputError: `corrupt`, `no_video_stream`, `codec_refused`, `too_large`.
        """
        self.container = open_container(file)
        self.stream = choose_stream(self.container, limits)
        self.base = Fraction(self.stream.time_base or Fraction(1, MICRO))
        self.clock = Clock(self.base)
        self.skipped = self.damaged = 0
        self._decoder: VideoCodecContext = decoder_of(self.stream)
        self._awaits_key = awaits_key
        self._is_avi = "avi" in self.container.format.name
        self._has_given = False

    def close(self) -> None:
        """Free it; an index grows with the video, so two are never held at once."""
        self.container.close()

    def seek(self, time: int) -> None:
        """Go to the key frame that the index gives for a time; only where no clock jumps.

        Raises:
            av.FFmpegError: the index leads nowhere.
        """
        self.container.seek(time, stream=self.stream)
        if self._decoder is not self.stream.codec_context and self._decoder.is_open:
            self._decoder.flush_buffers()
        self.clock = Clock(self.base)

    def packets(self) -> Iterator[VideoPacket]:
        """Packets on one clock, up to the end, or up to where the file is cut or damaged.

        Each recording in the file begins with a key frame: what comes before it leans on pictures
        that are not there, and some decoders make grey of them.
        """
        waits = self._awaits_key
        for packet in self._demuxed():
            begins = self.clock.move(packet)
            waits = waits or (begins and self._awaits_key)
            if waits and packet.size and not packet.is_keyframe and self.skipped < _PATIENCE:
                self.skipped += 1
                continue
            waits = waits and not packet.size
            yield packet

    def may_jump(self, is_single: bool) -> bool:
        """Whether the times may begin anew, as they do in joined recordings.

        Args:
            is_single: whether the file looks like one recording alone.
        """
        if not is_single or (self.container.duration or 0) <= LONGEST_S * MICRO:
            return not is_single
        is_known = "mov" in self.container.format.name  # its index is whole
        return not is_known or self._longest_step() > LONGEST_S / self.base

    def _longest_step(self) -> int:
        """Ticks between two packets next to each other in the index, at most."""
        times = [entry.timestamp for entry in self.stream.index_entries]
        return max((after - before for before, after in pairwise(times)), default=0)

    def _demuxed(self) -> Iterator[VideoPacket]:
        try:
            yield from self.container.demux(self.stream)
        except MemoryError:
            raise
        except av.FFmpegError:
            self.damaged += 1

    def frames(
        self, packets: Iterable[VideoPacket], wanted: Wanted | None = None
    ) -> Iterator[Timed]:
        """Frames in the order in which they are shown; what is not wanted may not be decoded.

        Those that are not stand at their packets' times, so that whoever counts sees them all.
        """
        if wanted is None or self._is_avi or not may_leave_out(self._decoder):
            yield from self._decoded(packets)
            return
        unwanted, left_out, has_begun = Unwanted(wanted), list[int](), False
        for timed in self._decoded(self._leaving_out(unwanted.marked(packets), left_out)):
            for at, until in _before(left_out, timed.at):
                # After a seek the decoder may give nothing for a while; damage takes more away.
                if has_begun and not wanted(at, until):
                    yield Timed(at, is_key=False, frame=None)
            has_begun = True
            if timed.frame is not None and timed.frame.interlaced_frame:
                unwanted.distrust()  # a packet may hold half a frame
            yield timed

    def _leaving_out(
        self, marked: Iterable[tuple[VideoPacket, bool]], left_out: list[int]
    ) -> Iterator[VideoPacket]:
        """Packets, with the decoder told which of them to leave out if nothing leans on them."""
        try:
            for packet, is_unwanted in marked:
                self._decoder.skip_frame = "NONREF" if is_unwanted else "DEFAULT"
                if is_unwanted and packet.pts is not None:
                    heappush(left_out, packet.pts)
                yield packet
        finally:
            self._decoder.skip_frame = "DEFAULT"

    def _decoded(self, packets: Iterable[VideoPacket]) -> Iterator[Timed]:
        times: list[int] = []
        keys: set[int] = set()
        last = 0
        for packet in packets:
            time = self.time_of(packet)
            if time is not None and packet.is_keyframe:
                keys.add(time)
            if self._is_avi and packet.size and time is not None:
                heappush(times, time)
            for frame in self._decode(packet):
                found = frame.pts if frame.pts is not None else frame.dts
                if times:
                    found = heappop(times)
                last = found if found is not None else last + max(1, int(frame.duration or 1))
                yield Timed(last, bool(frame.key_frame) or last in keys, frame)
                keys.discard(last)

    def time_of(self, packet: VideoPacket) -> int | None:
        """When some frame is shown: AVI has times of decoding alone; sorted, they are those."""
        return packet.dts if self._is_avi else packet.pts

    def _decode(self, packet: VideoPacket) -> list[VideoFrame]:
        try:
            frames = self._decoder.decode(packet if packet.size else None)
        except MemoryError:
            raise
        except av.error.EOFError:
            return []
        except av.FFmpegError:
            # What comes before the first frame is the tail of a group that began earlier.
            self.damaged += self._has_given
            return []
        self._has_given = self._has_given or bool(frames)
        return [frame for frame in frames if isinstance(frame, VideoFrame)]


def _before(times: list[int], end: int) -> Iterator[tuple[int, int]]:
    """Take times up to `end` off a heap; each before it, with the one that follows."""
    while times and times[0] <= end:
        at = heappop(times)
        if at < end:
            yield at, min(times[0], end) if times else end

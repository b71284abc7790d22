"""Unwanted: frames that nobody looks at and no other frame leans on, which need no decoding.

The decoder leaves out a picture that its stream marks as no reference (`nal_ref_idc` of 0 in H.264,
7.4.1 of ITU-T H.264; sub-layer non-reference pictures in H.265, 7.4.2.2, where there is one layer)
if it is told so with the packet. Whether anybody looks at it follows from the packets' times: a
frame is shown until the next one is, which lies a few packets ahead.
"""

from bisect import bisect_right, insort
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from av.video.codeccontext import VideoCodecContext

from pipeline.decode.container import VideoPacket
from pipeline.decode.source import Wanted

_AHEAD: Final = 20
"""Packets, more than the 16 frames that may wait to be shown."""
_LAYERS_AT: Final = 21
"""Byte of an `hvcC` box (ISO/IEC 14496-15, 8.3.3.1) with the number of temporal layers."""


def may_leave_out(codec: VideoCodecContext) -> bool:
    """Whether what the decoder leaves out is surely no reference."""
    if codec.name == "h264":
        return True
    facts = codec.extradata or b""
    is_box = codec.name == "hevc" and len(facts) > _LAYERS_AT and facts[0] == 1
    return is_box and facts[_LAYERS_AT] >> 3 & 7 == 1


class Unwanted:
    """Looks ahead of the decoder for packets whose frames are not wanted.

    A frame is wanted as well if the next one is, should that turn out to be damaged. A time that
    is found too late makes `until` too late, and so a frame wanted that is not: never the reverse.
    """

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._times: list[int] = []  # of frames in sight
        self._last: int | None = None  # time of decoding
        self._is_trusted = True

    def distrust(self) -> None:
        """Leave out nothing any more."""
        self._is_trusted = False

    def marked(self, packets: Iterable[VideoPacket]) -> Iterator[tuple[VideoPacket, bool]]:
        """Each packet, and whether its frame is unwanted."""
        sight: deque[VideoPacket] = deque()
        for packet in packets:
            self._see(packet)
            sight.append(packet)
            if len(sight) > _AHEAD:
                yield self._next(sight)
        while sight:
            yield self._next(sight)

    def _see(self, packet: VideoPacket) -> None:
        if not self._is_trusted or not packet.size:
            return
        shown, decoded, before = packet.pts, packet.dts, self._last
        self._last = decoded
        begins = decoded is None and before is None  # Matroska does not know the first ones
        grows = decoded is not None and (before is None or decoded > before)
        if shown is None or not (begins or grows) or packet.is_corrupt:
            self._is_trusted = False
            return
        self._is_trusted = shown not in self._times and (decoded is None or shown >= decoded)
        if not packet.is_discard:
            insort(self._times, shown)

    def _next(self, sight: deque[VideoPacket]) -> tuple[VideoPacket, bool]:
        packet = sight.popleft()
        if not self._is_trusted or not packet.size or packet.pts is None or packet.is_discard:
            return packet, False
        behind = bisect_right(self._times, packet.pts)
        is_unwanted = False
        if len(self._times) > behind + 1 and not packet.is_keyframe:
            is_unwanted = not self._wanted(packet.pts, self._times[behind + 1])
        if len(self._times) > 2 * _AHEAD:
            del self._times[:_AHEAD]
        return packet, is_unwanted

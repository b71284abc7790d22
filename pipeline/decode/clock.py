"""Clock: the times of a container as one line, also where recordings were joined.

A recording that was joined to another one begins its times again, or far away. Time goes on then
from the end of the stretch before, as players show it that reset at a discontinuity.
"""

from bisect import bisect_right
from fractions import Fraction
from typing import Any, Final

LONGEST_S: Final = 3600
"""That a frame may stand, or nothing be shown; more is a damaged number or a jump."""
_BACK_S: Final = Fraction(1, 2)
"""Less is a frame in disorder, which stays where it is."""


class Clock:
    """Moves packets on one line as they come out of the demuxer, in the order of the file."""

    def __init__(self, base: Fraction) -> None:
        """Start a line; `base` is the time base of the stream, seconds."""
        self._back, self._longest = int(_BACK_S / base), int(LONGEST_S / base)
        self._decoded: int | None = None  # time of decoding of the packet before
        self._step = 1
        self._ends: list[int] = []  # where a stretch begins on the line, but the first
        self._shifts = [0]
        self.end: int | None = None

    @property
    def jumps(self) -> int:
        """How often the times have begun anew."""
        return len(self._ends)

    @property
    def shift(self) -> int:
        """What the present stretch was moved by, ticks."""
        return self._shifts[-1]

    def move(self, packet: Any) -> bool:  # noqa: ANN401 - PyAV leaves the kind of packet open
        """Move a packet's times; whether it begins another stretch."""
        begins = self._jumps_to(packet.dts)
        shown = packet.pts if packet.pts is not None else packet.dts
        if shown is None:
            return False
        if begins and self.end is not None:
            self._ends.append(self.end)
            self._shifts.append(self.end - shown)
        if self.shift:
            packet.pts = None if packet.pts is None else packet.pts + self.shift
            packet.dts = None if packet.dts is None else packet.dts + self.shift
        end = shown + self.shift + min(packet.duration or self._step, self._longest)
        self.end = end if self.end is None else max(self.end, end)
        return begins

    def original(self, time: int) -> int:
        """The container's own time of what is at `time` on the line."""
        return time - self._shifts[bisect_right(self._ends, time)]

    def _jumps_to(self, decoded: int | None) -> bool:
        """By times of decoding, which grow in a recording; the first ones may not be known."""
        if decoded is None:
            return False
        before, self._decoded = self._decoded, decoded
        if before is None:
            return False
        if before < decoded <= before + self._longest:
            self._step = decoded - before
        return not -self._back <= decoded - before <= self._longest

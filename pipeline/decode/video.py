"""Video: containers to presented frames with exact times, by PyAV, inside the child.

Opened only through a nameless file object with lists of allowed formats and protocols: a path or
a name would let a playlist read other files and addresses (measured; CVE-2017-9993 and its like).
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, BinaryIO, Final, cast

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from pipeline.decode.plan import DecodePlan, Limits
from pipeline.decode.scenes import SceneDetector
from pipeline.decode.segments import (
    MICRO,
    Presented,
    Targets,
    count_targets,
    cut_segments,
    microseconds,
    rate_targets,
)
from pipeline.decode.subtitles import read_cues, text_tracks
from schemas.errors import InputError
from schemas.shards import MediaInfo, Shard

_FORMATS: Final = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,avi,flv,ogg"
_CODEC_NAMES: Final = """
    h264 hevc vp8 vp9 av1 libdav1d libvpx libvpx-vp9 libaom-av1 mpeg4 theora mjpeg
    mpeg1video mpeg2video msmpeg4v3 h263 flv1
"""
CODECS: Final = frozenset(_CODEC_NAMES.split())
_SPARSE_S: Final = 4
"""From this distance of kept frames on, seeking costs less than decoding what lies between."""
_SEEKABLE: Final = ("mov", "matroska")


class Nameless:
    """A file object without a name: libavformat must not learn of any path."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


class Video:
    """One video stream of an open container."""

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        """Open and check a container.

        Raises:
            InputError: `truncated`, `corrupt`, `no_video_stream`, `codec_refused`, `too_large`.
        """
        self._limits = limits
        self.container = _open(file)
        self.stream = _choose_stream(self.container, limits)
        self._base = Fraction(self.stream.time_base or Fraction(1, MICRO))
        self._packets = 0
        self._first = self._first_frame()

    def info(self) -> MediaInfo:
        """Facts of the medium."""
        frame, rate = self._first, self.stream.average_rate
        rotation = _rotation(frame)
        width, height = round(frame.width * self._stretch()), frame.height
        if rotation % 180:
            width, height = height, width
        duration = self.container.duration
        return MediaInfo(
            kind="video",
            container=self.container.format.name,
            codec=self.stream.codec_context.name,
            width=width,
            height=height,
            rotation=-rotation % 360,
            duration_us=int(duration) if duration and duration > 0 else None,
            start_us=microseconds(self._start * self._base),
            fps_num=rate.numerator if rate else 0,
            fps_den=rate.denominator if rate else 1,
            subtitle_tracks=len(text_tracks(self.container)),
        )

    def shards(self, plan: DecodePlan) -> Iterator[Shard]:
        """Decode, sample and cut.

        Raises:
            InputError: also `truncated`, after the parts that could be decoded.
        """
        cues = read_cues(self.container, self._start * self._base)
        targets = self._targets(plan)
        scenes = SceneDetector() if targets is None else None
        yield from cut_segments(
            self._presented(plan, targets, scenes), targets, plan, self._limits, cues
        )

    def _targets(self, plan: DecodePlan) -> Targets | None:
        if plan.sampling.mode == "rate":
            return rate_targets(plan.sampling.value)
        if plan.sampling.mode == "count":
            return count_targets(int(plan.sampling.value), self._last_time())
        return None

    @property
    def _start(self) -> int:
        return self._first.pts or 0

    def _first_frame(self) -> VideoFrame:
        try:
            for frame in self.container.decode(self.stream):
                return frame
        except av.FFmpegError as error:
            message = f"its video cannot be decoded ({error.strerror}); re-encode it"
            raise InputError("corrupt", message) from error
        message = "its video stream holds no frame; record or fetch it again"
        raise InputError("truncated", message)

    def _last_time(self) -> Fraction:
        """Time of the last frame, by reading all packets without decoding them."""
        self.container.seek(0, backward=True)
        times = [
            packet.pts
            for packet in self.container.demux(self.stream)
            if packet.pts is not None and not packet.is_discard
        ]
        return (max(times, default=self._start) - self._start) * self._base

    def _presented(
        self, plan: DecodePlan, targets: Targets | None, scenes: SceneDetector | None
    ) -> Iterator[Presented]:
        """Frames in order of presentation, from a little before the plan's first part."""
        reach = Fraction(plan.first_part * plan.segment_us, MICRO)
        seekable = self._can_seek() and targets is not None
        self._seek(reach - 1 if seekable and plan.first_part else Fraction(-1))
        last: Fraction | None = None
        sparse = seekable and plan.sampling.mode == "rate" and plan.sampling.value * _SPARSE_S <= 1
        while True:
            jump: Fraction | None = None
            for frame in self._decode(whole=not sparse and plan.first_part == 0):
                t = ((frame.pts if frame.pts is not None else 0) - self._start) * self._base
                if (last is not None and t <= last) or t < 0:
                    continue
                chosen = targets is not None and (
                    targets(t) > (0 if last is None else targets(last))
                )
                is_cut = scenes.is_cut(frame) if scenes is not None else False
                last = t
                yield Presented(
                    frame.pts or 0,
                    self._base,
                    t,
                    bool(frame.key_frame),
                    _converter(frame),
                    self._stretch(),
                    is_cut,
                )
                if sparse and chosen:
                    exact = Fraction(plan.sampling.value).limit_denominator(10_000)
                    jump = (t * exact // 1 + 1) / exact
                    break
            if jump is None:
                return
            self._seek(jump)

    def _decode(self, *, whole: bool) -> Iterator[VideoFrame]:
        self._packets = 0
        try:
            for packet in self.container.demux(self.stream):
                self._packets += packet.size > 0
                yield from packet.decode()
        except av.FFmpegError as error:
            message = f"damaged after {self._packets} packets ({error.strerror}); fetch it again"
            raise InputError("corrupt", message) from error
        declared = self.stream.frames
        if whole and self._packets < declared * 0.98 - 1:
            message = f"holds {self._packets} of {declared} declared frames; fetch it again"
            raise InputError("truncated", message)

    def _can_seek(self) -> bool:
        return any(name in self.container.format.name for name in _SEEKABLE)

    def _seek(self, t: Fraction) -> None:
        """Go to the key frame at or before `t` seconds."""
        if t < 0:
            self.container.seek(0, backward=True)
            return
        self.container.seek(self._start + int(t / self._base), stream=self.stream)

    def _stretch(self) -> float:
        ratio = self.stream.sample_aspect_ratio
        return float(ratio) if ratio else 1.0


def _open(file: BinaryIO) -> InputContainer:
    options = {"format_whitelist": _FORMATS, "protocol_whitelist": "none"}
    try:
        return cast("InputContainer", av.open(cast("Any", Nameless(file)), options=options))
    except av.FFmpegError as error:
        message = f"the container cannot be read ({error.strerror}): it is cut short or damaged"
        raise InputError("truncated", message + "; fetch it again") from error


def _choose_stream(container: InputContainer, limits: Limits) -> VideoStream:
    streams = [
        stream
        for stream in container.streams.video
        if not stream.disposition & av.stream.Disposition.attached_pic
    ]
    if not streams:
        message = "the container has no video stream; give a file with pictures"
        raise InputError("no_video_stream", message)
    stream = max(streams, key=lambda one: (one.width or 0) * (one.height or 0))
    codec = stream.codec_context
    if codec is None or codec.name not in CODECS:
        name = codec.name if codec is not None else "unknown"
        message = f"its codec {name} is not on the allow-list; re-encode it as h264"
        raise InputError("codec_refused", message)
    if codec.width * codec.height > limits.frame_pixels:
        message = f"frames of {codec.width}x{codec.height} are above {limits.frame_pixels} pixels"
        raise InputError("too_large", message + "; scale the video down")
    codec.options = {"max_pixels": str(limits.frame_pixels)}
    return stream


def _rotation(frame: VideoFrame) -> int:
    """Degrees counter-clockwise to turn the frame for display, a multiple of 90."""
    return round(frame.rotation / 90) * 90 % 360


def _converter(frame: VideoFrame) -> Any:  # noqa: ANN401 - a closure, typed where it is used
    def image() -> Image.Image:
        values = frame.to_ndarray(format="rgb24")
        return Image.fromarray(np.ascontiguousarray(np.rot90(values, _rotation(frame) // 90)))

    return image

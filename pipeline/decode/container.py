"""Container: a file opened by libavformat with everything off that reaches beyond it.

Opened only through a nameless file object with lists of allowed formats and protocols: a path or
a name would let a playlist read other files and addresses (measured; CVE-2017-9993 and its like).
"""

from typing import Any, BinaryIO, Final, TypeAlias, cast

import av
from av.codec.context import CodecContext
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from pipeline.decode.plan import Limits
from schemas.errors import InputError

VideoPacket: TypeAlias = "Packet[VideoStream]"  # a class that only type checkers can subscript

_FORMATS: Final = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,avi,flv,ogg,"  # what is recorded and sent
    "mpeg,mpegvideo,asf,mxf,dv,"  # discs, Windows, broadcast, tapes
    "h264,hevc,yuv4mpegpipe"  # streams without a container, as cameras and tools give them
)
_CODEC_NAMES: Final = """
    h264 hevc vp8 vp9 av1 libdav1d libvpx libvpx-vp9 libaom-av1 mpeg4 theora mjpeg
    mpeg1video mpeg2video msmpeg4v1 msmpeg4v2 msmpeg4 msmpeg4v3 h263 flv prores vc1 wmv3
    wmv1 wmv2 dvvideo dnxhd ffv1 huffyuv ffvhuff rawvideo png
"""
CODECS: Final = frozenset(_CODEC_NAMES.split())
TEXT_CODECS: Final = frozenset(["mov_text", "subrip", "srt", "ass", "ssa", "webvtt", "text"])

_WITH_ALPHA: Final = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


class _Nameless:
    """A file object without a name: libavformat must not learn of any path."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def open_container(file: BinaryIO) -> InputContainer:
    """Open a container from its start.

    Raises:
        InputError: `corrupt`.
    """
    options = {
        "format_whitelist": _FORMATS,
        "protocol_whitelist": "none",
        # Also for the decoders that libavformat opens by itself to find out about streams.
        "codec_whitelist": ",".join(sorted(CODECS | TEXT_CODECS)),
    }
    file.seek(0)
    try:
        return cast("InputContainer", av.open(cast("Any", _Nameless(file)), options=options))
    except MemoryError:
        raise
    except (av.FFmpegError, ValueError) as error:
        message = f"the container cannot be read ({error}); fetch or record it again"
        raise InputError("corrupt", message) from error


def moving_pictures(container: InputContainer) -> list[VideoStream]:
    """Its video streams without cover pictures and thumbnails."""
    return [
        stream
        for stream in container.streams.video
        if not stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails)
    ]


def choose_stream(container: InputContainer, limits: Limits) -> VideoStream:
    """The main video stream, checked: the default one, else the largest; never a cover picture.

    Raises:
        InputError: `no_video_stream`, `codec_refused` or `too_large`.
    """
    streams = moving_pictures(container)
    if not streams:
        message = "the container has no video stream; give a file with pictures"
        raise InputError("no_video_stream", message)
    stream = max(streams, key=_rank)
    codec = stream.codec_context
    if codec is None or codec.name not in CODECS:
        name = codec.name if codec is not None else "unknown"
        message = f"its codec {name} is not on the allow-list; re-encode it as h264"
        raise InputError("codec_refused", message)
    if codec.width * codec.height > limits.frame_pixels:
        message = f"frames of {codec.width}x{codec.height} are above {limits.frame_pixels} pixels"
        raise InputError("too_large", message + "; scale the video down")
    codec.options = {"max_pixels": str(limits.frame_pixels)}
    codec.thread_count = 1  # media are decoded side by side; a thread would cost memory in each
    return stream


def decoder_of(stream: VideoStream) -> VideoCodecContext:
    """The stream's own decoder, or one that knows of its transparency.

    The native decoders of VP8 and VP9 leave the alpha out that WebM keeps beside each picture.
    """
    codec = stream.codec_context
    if stream.metadata.get("alpha_mode") != "1" or codec.name not in _WITH_ALPHA:
        return codec
    other = cast("VideoCodecContext", CodecContext.create(_WITH_ALPHA[codec.name], "r"))
    other.extradata, other.options = codec.extradata, codec.options
    other.thread_count = 1
    return other


def _rank(stream: VideoStream) -> tuple[bool, int]:
    codec = stream.codec_context
    area = codec.width * codec.height if codec is not None else 0
    return bool(stream.disposition & Disposition.default), area

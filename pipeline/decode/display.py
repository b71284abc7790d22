"""Display: a decoded frame as a player shows it, by its shape, turn, fields, colours and alpha."""

from fractions import Fraction

import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray
from PIL import Image

from pipeline.decode.colour import opaque
from pipeline.decode.crop import Crop
from pipeline.decode.hdr import is_wide, to_srgb
from pipeline.decode.upright import Upright


class Display:
    """How the frames of one stream are shown."""

    def __init__(self, crop: Crop, stated: Fraction | None, coded: Fraction | None) -> None:
        """Take what holds for all frames.

        Args:
            crop: what the container hides at the edges.
            stated: shape of pixels by the container, if it says one.
            coded: shape that the first frame brings; a later one that differs has changed.
        """
        self._crop, self._stated, self._coded = crop, stated or Fraction(1), coded
        # Kept, because setting one up costs more than using it.
        self._to_rgb, self._to_small = VideoReformatter(), VideoReformatter()
        self._uprights: dict[tuple[int, int, int], Upright] = {}

    def size(self, frame: VideoFrame, coded: Fraction | None) -> tuple[int, int]:
        """Width and height as displayed: with the pixels' shape, upright."""
        ratio = coded if coded and coded != self._coded else self._stated
        left, top, right, bottom = self._crop.box(frame.width, frame.height)
        width, height = right - left, bottom - top
        width = max(1, round(width * ratio)) if ratio > 0 else width
        return (height, width) if self.upright(frame).swaps else (width, height)

    def upright(self, frame: VideoFrame) -> Upright:
        """How a frame is turned; its matrix is looked at once for all frames like it.

        PyAV never frees a frame whose side data were asked for: the two hold each other.
        """
        like = frame.rotation, frame.width, frame.height
        if like not in self._uprights:
            self._uprights[like] = Upright.of(frame)
        return self._uprights[like]

    def picture(self, frame: VideoFrame) -> Image.Image:
        """RGB, upright, in the pixels of the frame."""
        values = self._values(one_instant(frame) if frame.interlaced_frame else frame)
        left, top, right, bottom = self._crop.box(frame.width, frame.height)
        shown = self.upright(frame).turned(values[top:bottom, left:right])
        return Image.fromarray(np.ascontiguousarray(shown))

    def _values(self, frame: VideoFrame) -> NDArray[np.uint8]:
        if is_wide(frame):
            return to_srgb(frame, self._to_rgb)
        if any(part.is_alpha for part in frame.format.components):
            values = self._to_rgb.reformat(frame, format="rgba").to_ndarray()
            return np.asarray(opaque(Image.fromarray(values.astype(np.uint8, copy=False))))
        values = self._to_rgb.reformat(frame, format="rgb24").to_ndarray()
        return values.astype(np.uint8, copy=False)

    def thumbnail(self, frame: VideoFrame, width: int, height: int) -> NDArray[np.uint8]:
        """`uint8 (height, width, 3)`, as it was decoded."""
        small = self._to_small.reformat(
            frame, width=width, height=height, format="rgb24", interpolation="AREA"
        )
        return small.to_ndarray().astype(np.uint8)


def one_instant(frame: VideoFrame) -> VideoFrame:
    """The first field of a frame of two, its lines between filled from their neighbours.

    By this frame alone, so that it does not matter which frames came before.
    """
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
    )
    fill = graph.add("estdif", "mode=frame:deint=all")
    sink = graph.add("buffersink")
    source.link_to(fill)
    fill.link_to(sink)
    graph.configure()
    graph.push(frame)
    graph.push(None)
    found = graph.pull()
    assert isinstance(found, VideoFrame)
    return found

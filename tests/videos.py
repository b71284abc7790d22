"""Small videos for tests, by PyAV: a few frames at any pace, in any container."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np


def video(
    path: Path, seconds: float, *, fps: Fraction | int = 1, shift: int = 0, **options: str
) -> Path:
    """A grey video whose frames differ; `shift` moves its colours.

    Args:
        path: to write; its suffix says what container.
        seconds: length.
        fps: frames a second.
        shift: of the colours.
        options: of the container, such as movflags.
    """
    rate = Fraction(fps)
    with av.open(str(path), "w", container_options=options or {}) as container:
        stream: Any = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.options = {"preset": "ultrafast", "bf": "0"}
        for index in range(int(seconds * rate)):
            planes = np.full((72, 64), (20 + 40 * shift + 7 * index) % 256, dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = index, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path

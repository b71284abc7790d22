"""Bytes and requests that the ranges of a long video take of an object, against its size.

Each range of 30 segments of half an hour is decoded as its job does it, from a sparse file whose
blocks come from a file that stands for the store. Whoever downloads the whole object for each range
takes `whole_mib`.
"""

import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from benchmarks.common import Report, parser, show
from pipeline.decode import DecodePlan, Sampling, decode
from services.ingest.keys import RANGE_PARTS
from services.storage.sparse import SparseFile

_MINUTES, _FPS, _BITS = 30, 2, 400_000
_PARTS = _MINUTES * 6
_CONTAINERS = ("mp4", "mkv", "ts")
_MIB = 1 << 20


class Store:
    """A file, and what was asked of it."""

    def __init__(self, path: Path) -> None:
        self.data, self.bytes, self.requests = path.read_bytes(), 0, 0

    def read(self, offset: int, length: int) -> bytes:
        """A range of it."""
        self.bytes += length
        self.requests += 1
        return self.data[offset : offset + length]


def video(path: Path) -> Path:
    """Noise of a steady rate, a key frame every ten seconds."""
    chance = np.random.default_rng(0)
    pictures = [chance.integers(0, 255, (144, 176, 3), dtype=np.uint8) for _ in range(16)]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=_FPS)
        stream.width, stream.height, stream.pix_fmt = 176, 144, "yuv420p"
        stream.codec_context.gop_size, stream.bit_rate = 10 * _FPS, _BITS
        for number in range(_MINUTES * 60 * _FPS):
            frame = av.VideoFrame.from_ndarray(pictures[number % 16], format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, _FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def measure(path: Path, folder: Path) -> Report:
    """All ranges, one after the other."""
    store = Store(path)
    starts = range(0, _PARTS, RANGE_PARTS)
    for start in starts:
        file = SparseFile(folder / "medium", len(store.data), store.read)
        plan = DecodePlan(Sampling("rate", 1.0), first_part=start, stop_part=start + RANGE_PARTS)
        for _ in decode(file.path, plan, fill=file.fill):
            pass
    return {
        "container": path.suffix[1:],
        "mib": round(len(store.data) / _MIB, 1),
        "ranges": len(starts),
        "fetched_mib": round(store.bytes / _MIB, 1),
        "requests": store.requests,
        "whole_mib": round(len(starts) * len(store.data) / _MIB, 1),
    }


def main() -> None:
    """Run the benchmark."""
    chosen = parser(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [measure(video(folder / f"a.{one}"), folder) for one in _CONTAINERS]
    show("ranges", rows, as_json=chosen.json)


if __name__ == "__main__":
    main()

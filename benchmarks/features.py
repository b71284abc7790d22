"""A new question over a lake that keeps features, against an index of the same from nothing.

A video of 640 x 360 with a picture of its own each second is indexed at 1 fps with one question of
16 tokens. `first` keeps features, `new` asks another question of the same lake, `nothing` asks it
of the file alone; seconds are of wall time with the model loaded anew, and CPU seconds are also
those of the decoder's child. `bytes_a_frame` is what a frame's features take.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from rich.console import Console

from benchmarks.checkpoints import random, shipped
from benchmarks.common import Report, parser, show
from benchmarks.pictures import cpu_seconds
from pipeline.land.store import local_place
from pipeline.query.sql import query
from schemas.jobs import Task
from services.index.run import Request, index
from services.settings import Settings

_SIZE: Final = (640, 360)
_FPS: Final = 25
_TOKENS: Final = 16
_FIRST: Final = Task("first", "Describe this picture in one sentence.", _TOKENS)
_NEW: Final = Task("new", "What is the colour of the largest thing?", _TOKENS)


def video(path: Path, seconds: int) -> None:
    """H.264 of soft shapes that move, others each second."""
    chance = np.random.default_rng(4)
    width, height = _SIZE
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=_FPS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"preset": "veryfast", "crf": "23"}
        for number in range(seconds * _FPS):
            if number % _FPS == 0:
                coarse = chance.integers(0, 256, (9, 16, 3), dtype=np.uint8)
                picture = coarse.repeat(height // 9, axis=0).repeat(width // 16, axis=1)
            moved = np.roll(picture, 4 * (number % _FPS), axis=1)
            frame = av.VideoFrame.from_ndarray(moved, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, _FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def measure(model: Path, path: Path, folder: Path) -> Report:
    """One checkpoint, each way in a lake of its own."""
    settings = Settings(model=str(model), device="cpu", threads=1)

    def indexed(lake: str, *tasks: Task, keep: bool = False) -> Callable[[], object]:
        request = Request(folder / lake, "", (str(path),), "1fps", tasks, quiet=True)
        request = replace(request, keep_features=keep)
        return lambda: index(request, settings, Console(quiet=True))

    indexed("warm", _FIRST)()
    first = _timed(indexed("kept", _FIRST, keep=True))
    new = _timed(indexed("kept", _FIRST, _NEW))
    nothing = _timed(indexed("nothing", _NEW))
    frames = _frames(folder / "kept")
    kept = [one.stat().st_size for one in (folder / "kept").rglob("*.features")]
    shards = [one.stat().st_size for one in (folder / "kept").rglob("*.arrow")]
    return {
        "model": model.name,
        "first_s": round(first[0], 2),
        "new_s": round(new[0], 2),
        "nothing_s": round(nothing[0], 2),
        "ratio": round(nothing[0] / new[0], 2),
        "cpu_ratio": round(nothing[1] / new[1], 2),
        "bytes_a_frame": sum(kept) // frames,
        "shard_bytes_a_frame": sum(shards) // frames,
    }


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    cpu, wall = cpu_seconds(), time.perf_counter()
    work()
    return time.perf_counter() - wall, cpu_seconds() - cpu


def _frames(lake: Path) -> int:
    found: int = query(local_place(lake), "select count(*) n from frames")["n"][0].as_py()
    return found


def main() -> None:
    """Run the benchmark."""
    options = parser(__doc__)
    options.add_argument("--seconds", type=int, default=30, help="of the video")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        video(folder / "a.mp4", chosen.seconds)
        rows = []
        for make in (shipped, random):
            there = folder / make.__name__
            rows.append(measure(make(there), folder / "a.mp4", there))
    show("features", rows, as_json=chosen.json)


if __name__ == "__main__":
    main()

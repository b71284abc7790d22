"""Frames a second of our decoding at 1 fps, against a plain PyAV loop that keeps the same frames.

The loop decodes every frame in this process and turns each kept one into the same picture bytes;
`bare` decodes every frame and does nothing with it, so that what pictures cost both is seen.
Daft's `read_video_frames` keeps as many and stops at pixels. It is left out unless it is installed.
Ours starts a child (`start_s`: until it has told the facts), sandboxes it, cuts shards and sends
them over a pipe; `scan` is the same clip at 0.1 fps, where ours may seek and the loop still
decodes everything. Frames a second count the frames of the video, not those kept. Three turns
each, alternating; the medians are compared.
"""

import statistics
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import av
import numpy as np
from PIL import Image

from benchmarks.clips import clip
from benchmarks.common import MEDIA, Report, note, parser, show, watch
from pipeline.decode import DecodePlan, Sampling, decode, probe
from pipeline.decode.picture import picture_row
from schemas.shards import Shard

_WIDTH: Final = 168
_TURNS: Final = 3
_REAL: Final = "bottles.mp4"


def ours(path: Path, rate: float) -> list[bytes]:
    """Pictures as the sandboxed child gives them."""
    plan = DecodePlan(Sampling("rate", rate), _WIDTH)
    shards = (item for item in decode(path, plan) if isinstance(item, Shard))
    return [image for shard in shards for image in shard.rows.column("image").to_pylist()]


def plain(path: Path, rate: float) -> list[bytes]:
    """Pictures by a loop over all frames: the last frame presented by each multiple of 1/rate."""
    found, number = [], 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        before: av.VideoFrame | None = None
        for frame in container.decode(stream):
            if before is not None and before.time is not None and frame.time is not None:
                while number / rate < frame.time:
                    if number / rate >= before.time:
                        found.append(_picture(before))
                    number += 1
            before = frame
        if before is not None and before.time is not None and number / rate == before.time:
            found.append(_picture(before))
    return found


def bare(path: Path, _: float) -> list[bytes]:
    """No picture: every frame is decoded, and that is all."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for _frame in container.decode(stream):
            pass
    return []


def _picture(frame: av.VideoFrame) -> bytes:
    image = Image.fromarray(frame.to_ndarray(format="rgb24"))
    row = picture_row(image, width=_WIDTH, lossless=False)
    return bytes(row["image"])


def daft(path: Path, rate: float) -> list[bytes]:
    """Pixels by Daft, of the same width."""
    from daft import read_video_frames  # type: ignore[import-not-found,unused-ignore]

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        height = round(_WIDTH * stream.height / stream.width)
    found = read_video_frames(str(path), height, _WIDTH, sample_interval_seconds=1 / rate)
    return [np.asarray(one).tobytes() for one in found.to_pydict()["data"]]


def frames_of(path: Path) -> int:
    """Number of video frames."""
    with av.open(str(path)) as container:
        return sum(1 for packet in container.demux(video=0) if packet.size)


def compare(name: str, path: Path, rate: float) -> Report:
    """Both ways by turns."""
    ways: dict[str, Callable[[Path, float], list[bytes]]] = {
        "ours": ours,
        "plain": plain,
        "bare": bare,
    }
    if find_spec("daft"):
        ways["daft"] = daft
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    kept: dict[str, int] = {}
    for _ in range(_TURNS):
        for way, run in ways.items():
            with watch() as taken:
                kept[way] = len(run(path, rate))
            seconds[way].append(taken.seconds)
    if kept["ours"] != kept["plain"]:
        message = f"{name}: ours kept {kept['ours']} frames, the plain loop {kept['plain']}"
        raise RuntimeError(message)
    with watch() as start:
        probe(path)
    total = frames_of(path)
    speeds = {way: total / statistics.median(values) for way, values in seconds.items()}
    return {
        "video": name,
        "fps_sampled": rate,
        "frames": total,
        "kept": kept["ours"],
        **{f"{way}_fps": round(speed, 1) for way, speed in speeds.items()},
        "start_s": round(start.seconds, 2),
        "ratio": round(speeds["ours"] / speeds["plain"], 3),
        **({"daft_ratio": round(speeds["ours"] / speeds["daft"], 3)} if "daft" in speeds else {}),
    }


def main() -> None:
    """Run the benchmark."""
    options = parser(__doc__)
    folder = Path(tempfile.gettempdir()) / "reelpage-benchmarks"
    options.add_argument("--folder", type=Path, default=folder, help="where clips are kept")
    chosen = options.parse_args()
    made, real = clip(chosen.folder, 3), MEDIA / _REAL
    rows = [
        compare("3 minutes", made, 1.0),
        compare("3 minutes, B-frames", clip(chosen.folder, 3, between=3), 1.0),
        compare("3 minutes, scan", made, 0.1),
    ]
    if real.exists():
        rows.append(compare(_REAL, real, 1.0))
    else:
        note(f"{_REAL} is left out: the folder of real media is not there")
    show("decode_speed", rows, as_json=chosen.json)


if __name__ == "__main__":
    main()

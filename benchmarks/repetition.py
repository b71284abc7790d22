"""CPU of answers about slides that each stay for a segment, against asking about every frame.

A slide with words stays for ten seconds, at 1 fps ten frames, and a random model of 123 M
parameters is asked one question about each. `differs` is the most that any value of a frame
differs from the one before, of 255, where nothing has changed but what H.264 makes of it, in the
frames of a slide from the third on; `refined` is the same between the first and the second, when
the encoder mends its key frame.
"""

import tempfile
import time
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.asking import shard_answers
from benchmarks.checkpoints import random
from benchmarks.common import Report, parser, show
from pipeline.decode import DecodePlan, Sampling, decode, model_picture
from pipeline.land.rows import Answer
from pipeline.vlm.clip import Item
from schemas.jobs import Task
from schemas.shards import Shard
from services.model.facts import model_facts
from services.model.reader import Model, set_threads
from services.model.wire import ServedModel

_SLIDES: Final = 2
_SECONDS: Final = 10
_FPS: Final = 5
_TASK: Final = Task("caption", "Describe this picture in one sentence.", 16)


def talk(path: Path, quality: int) -> None:
    """Slides as H.264 at 5 frames a second; quality as x264's `crf`."""
    font = ImageFont.load_default(20)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=_FPS)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        stream.options = {"preset": "veryfast", "crf": str(quality)}
        for index in range(_FPS * _SECONDS * _SLIDES):
            image = Image.new("RGB", (640, 360), (240, 240, 235))
            for line in range(10):
                words = f"Slide {index // (_FPS * _SECONDS)}, line {line} of what is said"
                ImageDraw.Draw(image).text((40, 30 + 30 * line), words, (30, 30, 30), font)
            frame = av.VideoFrame.from_ndarray(np.asarray(image), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, _FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def measure(path: Path, model: Model, served: ServedModel) -> Report:
    """Both ways of asking about the same shards."""
    plan = DecodePlan(Sampling("rate", 1.0))
    shards = [item for item in decode(path, plan) if isinstance(item, Shard)]
    seen = [_pictures(shard, served) for shard in shards]
    asked = 0

    def read(items: Sequence[Item], tasks: Sequence[Task]) -> list[list[Answer]]:
        nonlocal asked
        asked += len(items)
        return model.read(items, tasks)

    model.read(seen[0][:1], [_TASK])  # the first call sets things up
    begin = time.process_time()
    for shard in shards:
        model.read(_pictures(shard, served), [_TASK])
    every = time.process_time()
    for shard in shards:
        shard_answers(shard, [_TASK], read, served)
    ours = time.process_time()
    steps = [[_apart(*two) for two in pairwise(one)] for one in seen]
    return {
        "frames": sum(map(len, seen)),
        "asked": asked,
        "every_cpu_s": every - begin,
        "ours_cpu_s": ours - every,
        "ratio": (every - begin) / (ours - every),
        "refined": max(one[0] for one in steps),
        "differs": max(max(one[1:]) for one in steps),
    }


def _pictures(shard: Shard, served: ServedModel) -> list[Any]:
    low, high = served.min_pixels, served.max_pixels
    images = shard.rows.column("image").to_pylist()
    return [model_picture(image, min_pixels=low, max_pixels=high) for image in images]


def _apart(one: Any, other: Any) -> int:  # noqa: ANN401 - arrays
    return int(np.abs(one.astype(int) - other).max())


def main() -> None:
    """Run the benchmark."""
    chosen = parser(__doc__).parse_args()
    set_threads(1)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        facts = model_facts(random(Path(folder)))
        served = ServedModel(facts.name, facts.revision, facts.min_pixels, facts.max_pixels)
        model = Model(facts, "cpu")
        for quality in (0, 23):
            path = Path(folder) / f"{quality}.mp4"
            talk(path, quality)
            rows.append({"crf": quality, **measure(path, model, served)})
    show("repetition", rows, as_json=chosen.json)


if __name__ == "__main__":
    main()

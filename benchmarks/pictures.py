"""Many pictures and a video, one prompt, by `index`: against the library and our bare engine.

`loop` calls `generate` of transformers for each picture, `static` for 16 at a time with padding
on the left, `bare` has our engine answer all pictures at once as arrays; `pictures` and `video` are
`index`, from files to tables, after a run that has loaded what it needs. One thread of the model
each, in a process of its own. CPU seconds are also those of processes that were started.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
import torch
from PIL import Image
from rich.console import Console
from transformers import Qwen2VLForConditionalGeneration

from benchmarks import checkpoints
from benchmarks.common import Report, note, parser, show
from pipeline.encode import Encoder
from pipeline.generate import Generator, Prompt, WorkItem
from pipeline.vlm.checkpoint import read_tokenizer
from pipeline.vlm.facts import read_processor
from pipeline.vlm.positions import VisionBlock
from pipeline.vlm.preprocess import patchify
from pipeline.vlm.template import Message, Part, tokenize
from schemas.jobs import Task
from services.index.run import Request, index
from services.settings import Settings

_SIDE: Final = 224
_PROMPT: Final = "What is the colour of the shape?"
_STATIC: Final = 16
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_GOALS: Final = {"loop": 3.0, "static": 1.4}

Picture = np.ndarray


def pictures(count: int) -> Iterator[Picture]:
    """Coarse noise, in which each picture has its own colours."""
    noise = np.random.default_rng(0)
    for _ in range(count):
        coarse = noise.integers(0, 256, (_SIDE // 28, _SIDE // 28, 3), np.uint8)
        yield coarse.repeat(28, axis=0).repeat(28, axis=1)


def media(folder: Path, count: int) -> None:
    """The pictures as files, and as the seconds of a video."""
    (folder / "pictures").mkdir()
    (folder / "video").mkdir()
    with av.open(folder / "video" / "film.mkv", "w") as container:
        stream = container.add_stream("libx264", 10, width=_SIDE, height=_SIDE, pix_fmt="yuv420p")
        for number, picture in enumerate(pictures(count)):
            Image.fromarray(picture).save(folder / "pictures" / f"{number:04}.png")
            for _ in range(10):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode())


def library(model: Path, count: int, tokens: int, together: int) -> Callable[[], int]:
    """The library's own `generate`, for so many pictures at a time."""
    load: Any = Qwen2VLForConditionalGeneration.from_pretrained
    loaded = load(model, dtype=torch.float32).eval()
    tokenizer, processor = read_tokenizer(model), read_processor(model)

    def run() -> int:
        shown, made = list(pictures(count)), 0
        for first in range(0, count, together):
            cut = [
                patchify(one[None], processor.mean, processor.std)
                for one in shown[first : first + together]
            ]
            chat = Message("user", [Part("image"), Part("text", _PROMPT)])
            ids = torch.tensor(
                [tokenize([chat], [VisionBlock(*grid)], tokenizer)[0] for _, grid in cut]
            )
            out = loaded.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),  # of one size, so nothing is padded
                pixel_values=torch.from_numpy(np.concatenate([patches for patches, _ in cut])),
                image_grid_thw=torch.tensor([grid for _, grid in cut]),
                mm_token_type_ids=(ids == loaded.config.image_token_id).int(),
                max_new_tokens=tokens,
                do_sample=False,
            )
            made += out[:, ids.shape[1] :].numel()
        return made

    return run


def bare(model: Path, count: int, tokens: int) -> Callable[[], int]:
    """Our engine on arrays."""
    encoder, generator = Encoder(model, cache_bytes=0), Generator(model)

    def run() -> int:
        asked = [Prompt(_PROMPT, tokens)]
        items = [WorkItem([one], asked) for one in encoder.encode(list(pictures(count)))]
        return sum(one.output_tokens for (one,) in generator.generate(items))

    return run


def indexed(model: Path, source: Path, tokens: int) -> Callable[[], int]:
    """The whole command, into a new lake each time."""
    task = Task("caption", _PROMPT, tokens)
    settings = Settings(model=str(model), device="cpu", threads=1)

    def run() -> int:
        with tempfile.TemporaryDirectory() as lake:
            request = Request(Path(lake), "", (str(source),), "1fps", (task,), quiet=True)
            return index(request, settings, Console(quiet=True)).output_tokens

    return run


def cpu_seconds(process: int | None = None) -> float:
    """CPU of a process and of those that it has started."""
    root = Path(f"/proc/{process or os.getpid()}")
    used = sum(map(int, (root / "stat").read_text().rpartition(")")[2].split()[11:15])) / _TICKS
    children = {one for task in (root / "task").iterdir() for one in _children(task)}
    return used + sum(map(cpu_seconds, children))


def _children(task: Path) -> list[int]:
    with suppress(FileNotFoundError):  # the thread has ended; its children are another one's now
        return list(map(int, (task / "children").read_text().split()))
    return []


def measure(way: str, model: Path, folder: Path, count: int, tokens: int) -> Report:
    """Tokens a second of one way; for a process of its own."""
    torch.set_num_threads(1)
    small = min(count, _STATIC)
    make: dict[str, Callable[[int], Callable[[], int]]] = {
        "loop": lambda most: library(model, min(most, small), tokens, 1),
        "static": lambda most: library(model, most, tokens, _STATIC),
        "bare": lambda most: bare(model, most, tokens),
        "pictures": lambda most: indexed(model, folder / _named("pictures", most, count), tokens),
        "video": lambda most: indexed(model, folder / _named("video", most, count), tokens),
    }
    make[way](1)()
    run = make[way](count)
    cpu, wall = cpu_seconds(), time.perf_counter()
    made = run()
    cpu, wall = cpu_seconds() - cpu, time.perf_counter() - wall
    return {
        "way": way,
        "model": model.name,
        "tokens": made,
        "tokens_per_cpu_s": round(made / cpu, 1),
        "tokens_per_s": round(made / wall, 1),
    }


def _named(kind: str, most: int, count: int) -> str:
    return kind if most == count else f"warm/{kind}"


def _in_process(arguments: Sequence[str]) -> Report:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.pictures", *arguments],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=True,
        stdout=subprocess.PIPE,
    )
    row: Report = json.loads(done.stdout)
    note(" ".join(f"{key}={value}" for key, value in row.items()))
    return row


def compared(rows: Sequence[Report]) -> list[Report]:
    """Each row with how it stands to the others of its model."""
    found = {(row["model"], row["way"]): row for row in rows}
    for row in rows:
        for peer in ("loop", "static", "bare"):
            other = found.get((row["model"], peer))
            if other and row["way"] in ("pictures", "video"):
                for unit in ("tokens_per_cpu_s", "tokens_per_s"):
                    row[f"{unit}_to_{peer}"] = round(row[unit] / other[unit], 2)
    return list(rows)


def main() -> None:
    """Run the benchmark."""
    options = parser(__doc__)
    ways = ("loop", "static", "bare", "pictures", "video")
    options.add_argument("--count", type=int, default=64, help="of pictures")
    options.add_argument("--tokens", type=int, default=16, help="of each answer")
    options.add_argument("--ways", nargs="+", choices=ways, default=list(ways))
    options.add_argument("--models", nargs="+", default=["shipped", "random"])
    options.add_argument("--measure", nargs=2, type=Path, metavar=("MODEL", "MEDIA"))
    chosen = options.parse_args()
    if chosen.measure:
        model, folder = chosen.measure
        row = measure(chosen.ways[0], model, folder, chosen.count, chosen.tokens)
        print(json.dumps(row))
        return
    with tempfile.TemporaryDirectory(prefix="reelpage-") as name:
        folder = Path(name)
        (folder / "warm").mkdir()
        media(folder, chosen.count)
        media(folder / "warm", 1)
        sizes = ["--count", str(chosen.count), "--tokens", str(chosen.tokens)]
        models = [getattr(checkpoints, one)(folder) for one in chosen.models]
        rows = [
            _in_process([*sizes, "--ways", way, "--measure", str(model), str(folder)])
            for model in models
            for way in chosen.ways
        ]
    show("pictures", compared(rows), as_json=chosen.json, goals=_GOALS)


if __name__ == "__main__":
    main()

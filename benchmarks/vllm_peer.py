"""Our decoder against vLLM: 64 prompts in flight, answers of 8 to 64 tokens, the same features.

Both are asked in the environment of vLLM (`make .venv-vllm/installed`), one thread each. CPU counts
this process and those of vLLM. All tokens are compared; turns alternate, the medians count.
"""

import importlib.util
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch

from benchmarks import checkpoints
from benchmarks.common import ROOT, Report, note, parser, show
from pipeline.encode import Encoder
from pipeline.generate import Engine, Generator, LanguageModel, Prompt, WorkItem

_PYTHON: Final = ROOT / ".venv-vllm" / "bin" / "python"
_SIDE: Final = 168
_WORDS: Final = ("what", "is", "the", "colour", "of", "a", "shape", "in", "this", "picture", "and")
_LOADS: Final = {
    # pictures, prompts of each, least and most tokens of an answer
    "64 pictures, 1 prompt": (64, 1, 8, 64),
    "16 pictures, 8 prompts": (16, 8, 32, 32),
}
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Turn:
    """What one way took, and what it answered."""

    cpu_s: float
    wall_s: float
    tokens: list[tuple[int, ...]]


def items(folder: Path, load: str) -> list[WorkItem]:
    """Features of noise, and prompts of a few words."""
    count, prompts, least, most = _LOADS[load]
    noise, chance = np.random.default_rng(1), random.Random(1)
    pictures = [noise.integers(0, 256, (_SIDE, _SIDE, 3), np.uint8) for _ in range(count)]

    def prompt() -> Prompt:
        words = " ".join(chance.sample(_WORDS, 4 + chance.randrange(5)))
        return Prompt(words, chance.randint(least, most))

    encoded = Encoder(folder).encode(pictures)
    return [WorkItem([one], [prompt() for _ in range(prompts)]) for one in encoded]


def ask(model: LanguageModel, asked: Sequence[WorkItem], processes: Sequence[int]) -> Turn:
    """Ask it all at once.

    Args:
        model: ours or vLLM.
        asked: what it is asked.
        processes: that work for it beside this one.
    """
    cpu_s, wall_s = _cpu_s(processes), time.perf_counter()
    given = model.generate(asked)
    tokens = [tuple(one.tokens) for some in given for one in some]
    return Turn(_cpu_s(processes) - cpu_s, time.perf_counter() - wall_s, tokens)


def _cpu_s(processes: Sequence[int]) -> float:
    """CPU of this process and of some others, with all that they have started."""
    ticks, waiting = 0, list(processes)
    while waiting:
        process = Path(f"/proc/{waiting.pop()}")
        ticks += sum(map(int, (process / "stat").read_text().rpartition(")")[2].split()[11:13]))
        for children in process.glob("task/*/children"):
            waiting += map(int, children.read_text().split())
    return time.process_time() + ticks / _TICKS


def compared(folder: Path, turns: int) -> list[Report]:
    """A row a load."""
    generator = Generator(folder)
    engine = Engine(folder, threads=1)
    try:
        return [_row(folder, load, generator, engine, turns) for load in _LOADS]
    finally:
        engine.close()


def _row(folder: Path, load: str, ours: Generator, vllm: Engine, turns: int) -> Report:
    asked = items(folder, load)
    ours.generate(asked[:1])
    vllm.generate(asked[:1])
    here, there = [], []
    for _ in range(turns):
        here.append(ask(ours, asked, ()))
        there.append(ask(vllm, asked, vllm.processes))
        note(f"{folder.name}, {load}: {here[-1].cpu_s:.1f} and {there[-1].cpu_s:.1f} CPU s")
    if any(turn.tokens != here[0].tokens for turn in (*here, *there)):
        message = "the tokens differ"
        raise RuntimeError(message)
    tokens = sum(map(len, here[0].tokens))
    row: Report = {"model": folder.name, "load": load, "tokens": tokens}
    for unit, name in (("cpu_s", "cpu"), ("wall_s", "wall")):
        mine, its = (statistics.median(getattr(t, unit) for t in ts) for ts in (here, there))
        row |= {
            f"tokens_per_{unit}": round(tokens / mine, 1),
            f"vllm_tokens_per_{unit}": round(tokens / its, 1),
            f"{name}_ratio": round(its / mine, 2),
        }
    return row


@contextmanager
def _chatter_on_stderr() -> Iterator[None]:
    """What vLLM and its processes print does not get into the report."""
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def main() -> None:
    """Run the benchmark, where vLLM is."""
    options = parser(__doc__)
    options.add_argument("--turns", type=int, default=3)
    chosen = options.parse_args()
    if importlib.util.find_spec("vllm") is None:
        if not _PYTHON.exists():
            sys.exit("vLLM is not there; make .venv-vllm/installed")
        os.execv(_PYTHON, [str(_PYTHON), "-m", "benchmarks.vllm_peer", *sys.argv[1:]])
    torch.set_num_threads(1)
    with _chatter_on_stderr(), tempfile.TemporaryDirectory(prefix="reelpage-") as name:
        models = [checkpoints.shipped(Path(name)), checkpoints.random(Path(name))]
        rows = [row for model in models for row in compared(model, chosen.turns)]
    show("vllm_peer", rows, as_json=chosen.json)


if __name__ == "__main__":
    main()

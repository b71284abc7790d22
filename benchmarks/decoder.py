"""Answers a CPU second: against the library's plain loop, and against an earlier commit.

`plain` calls `generate` of transformers for each prompt of a picture; ours encodes the picture
once and answers all prompts together. Against the earlier commit only the decoder is measured, on
features that are there. All tokens are compared. One thread; turns alternate, the medians count.
The commit stands before rows could join others that run.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from transformers import Qwen2VLForConditionalGeneration

from benchmarks import checkpoints
from benchmarks.common import ROOT, Report, note, parser, show
from benchmarks.small_pictures import checkout
from pipeline.encode import Encoder
from pipeline.generate import Generator, Prompt, WorkItem
from pipeline.vlm.checkpoint import read_tokenizer
from pipeline.vlm.facts import read_processor
from pipeline.vlm.positions import VisionBlock
from pipeline.vlm.preprocess import patchify
from pipeline.vlm.template import Message, Part, tokenize

_BEFORE: Final = "a9c723e"
_PEERS: Final = ("plain", "before")
_SIDE: Final = 336
_PROMPTS: Final = (1, 4, 8)
_NEW: Final = 16  # fewer than a repetition that ends an answer of ours
_WORDS: Final = ("what", "is", "the", "colour", "of", "a", "shape", "in", "this", "picture", "and")
_LOADS: Final = {
    # pictures, their side, prompts of each, least and most tokens of an answer
    "64 pictures, 1 prompt": (64, 168, 1, 8, 32),
    "40 pictures, 2 prompts, some long": (40, 168, 2, 8, 96),
    "4 pictures of 1,024 tokens, 8 prompts": (4, 896, 8, 16, 16),
}
_DECODE: Final = """
import json, random, sys, time
from pathlib import Path
import numpy as np, torch
from pipeline.encode import Encoder
from pipeline.generate import Generator, Prompt, WorkItem
torch.set_num_threads(1)
folder, words = Path(sys.argv[1]), sys.argv[2].split()
count, side, prompts, least, most = json.loads(sys.argv[3])
noise, chance = np.random.default_rng(1), random.Random(1)
pictures = [noise.integers(0, 256, (side, side, 3), np.uint8) for _ in range(count)]
def prompt():
    tokens = least if chance.random() < 0.7 and prompts == 2 else chance.randint(least, most)
    return Prompt(" ".join(chance.sample(words, 4 + chance.randrange(5))), tokens)
features = Encoder(folder).encode(pictures)
items = [WorkItem([one], [prompt() for _ in range(prompts)]) for one in features]
generator = Generator(folder)
generator.generate(items[:1])
started = time.process_time()
given = generator.generate(items)
taken = time.process_time() - started
tokens = [one.tokens for some in given for one in some]
print(json.dumps([taken, tokens]))
"""

Tokens = list[list[int]]


def question(number: int) -> str:
    """A prompt like no other of a picture."""
    return " ".join(_WORDS[(7 * number + place) % len(_WORDS)] for place in range(4 + number % 5))


class Plain:
    """The library's whole model, a call a prompt."""

    def __init__(self, folder: Path) -> None:
        load: Any = Qwen2VLForConditionalGeneration.from_pretrained
        self._model = load(folder, dtype=torch.float32).eval()
        self._tokenizer = read_tokenizer(folder)
        self._processor = read_processor(folder)

    def answer(self, picture: np.ndarray, prompts: Sequence[str]) -> Tokens:
        """Tokens of each answer."""
        return [self._one(picture, prompt) for prompt in prompts]

    def _one(self, picture: np.ndarray, prompt: str) -> list[int]:
        patches, grid = patchify(picture[None], self._processor.mean, self._processor.std)
        chat = Message("user", [Part("image"), Part("text", prompt)])
        block = VisionBlock(*grid)
        ids = torch.tensor([tokenize([chat], [block], self._tokenizer)[0]])
        out = self._model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            pixel_values=torch.from_numpy(patches),
            image_grid_thw=torch.tensor([grid]),
            mm_token_type_ids=(ids == self._model.config.image_token_id).int(),
            max_new_tokens=_NEW,
            do_sample=False,
        )
        tokens: list[int] = out[0, ids.shape[1] :].tolist()
        return tokens


class Ours:
    """Both halves; nothing is kept from one turn to the next."""

    def __init__(self, folder: Path) -> None:
        self._encoder = Encoder(folder, cache_bytes=0)
        self._generator = Generator(folder)

    def answer(self, picture: np.ndarray, prompts: Sequence[str]) -> Tokens:
        """Tokens of each answer."""
        asked = [Prompt(prompt, _NEW) for prompt in prompts]
        (given,) = self._generator.generate([WorkItem(self._encoder.encode([picture]), asked)])
        return [list(one.tokens) for one in given]


def against_plain(folder: Path, turns: int) -> list[Report]:
    """Tokens a CPU second with some prompts a picture, ours and plain."""
    plain, ours = Plain(folder), Ours(folder)
    picture = np.random.default_rng(0).integers(0, 256, (_SIDE, _SIDE, 3), np.uint8)
    rows = []
    for count in _PROMPTS:
        prompts = [question(number) for number in range(count)]
        ways = [partial(_timed, way.answer, picture, prompts) for way in (plain, ours)]
        there, here, tokens = alternate(ways, turns)
        rows.append(
            {"model": folder.name, "load": f"1 picture, {count} prompts", "peer": "plain"}
            | compared(here, there, tokens)
        )
    return rows


def against_commit(folder: Path, before: Path, load: str, turns: int) -> Report:
    """Tokens a CPU second of the decoder alone, now and before."""
    ways = [partial(_decode, root, folder, load) for root in (before, ROOT)]
    there, here, tokens = alternate(ways, turns)
    return {"model": folder.name, "load": load, "peer": "before"} | compared(here, there, tokens)


def alternate(
    ways: Sequence[Callable[[], tuple[float, Tokens]]], turns: int
) -> tuple[float, float, int]:
    """Median CPU seconds of two ways that have to give the same tokens, and how many these are."""
    seconds: list[list[float]] = [[], []]
    given: list[Tokens] = []
    for _ in range(turns):
        for taken, way in zip(seconds, ways, strict=True):
            cpu_s, tokens = way()
            taken.append(cpu_s)
            given.append(tokens)
    if any(tokens != given[0] for tokens in given):
        message = "the tokens differ"
        raise RuntimeError(message)
    first, second = map(statistics.median, seconds)
    return first, second, sum(map(len, given[0]))


def compared(cpu_s: float, peer_cpu_s: float, tokens: int) -> Report:
    """Tokens a CPU second of both, and how they stand to each other."""
    return {
        "tokens": tokens,
        "tokens_per_cpu_s": round(tokens / cpu_s, 1),
        "peer_tokens_per_cpu_s": round(tokens / peer_cpu_s, 1),
        "ratio": round(peer_cpu_s / cpu_s, 2),
    }


def _timed(
    answer: Callable[[np.ndarray, Sequence[str]], Tokens],
    picture: np.ndarray,
    prompts: Sequence[str],
) -> tuple[float, Tokens]:
    started = time.process_time()
    tokens = answer(picture, prompts)
    return time.process_time() - started, tokens


def _decode(root: Path, folder: Path, load: str) -> tuple[float, Tokens]:
    """The decoder of the code in `root`, in a process of its own."""
    arguments = [str(folder), " ".join(_WORDS), json.dumps(_LOADS[load])]
    done = subprocess.run(
        [sys.executable, "-c", _DECODE, *arguments],
        env=os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
        cwd=root,
        check=True,
        capture_output=True,
    )
    taken, tokens = json.loads(done.stdout)
    note(f"{folder.name}, {load}, in {root}: {taken:.1f} CPU s")
    return taken, tokens


def main() -> None:
    """Run the benchmark."""
    options = parser(__doc__)
    options.add_argument("--turns", type=int, default=3)
    options.add_argument("--peers", nargs="+", choices=_PEERS, default=list(_PEERS))
    options.add_argument("--before", default=_BEFORE, metavar="COMMIT", help="to compare with")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    rows: list[Report] = []
    with tempfile.TemporaryDirectory(prefix="reelpage-") as name:
        folder = Path(name)
        models = [checkpoints.shipped(folder), checkpoints.random(folder)]
        if "plain" in chosen.peers:
            rows += [row for model in models for row in against_plain(model, chosen.turns)]
        if "before" in chosen.peers:
            with checkout(chosen.before, folder) as before:
                rows += [
                    against_commit(model, before, load, chosen.turns)
                    for model in models
                    for load in _LOADS
                ]
    show("decoder", rows, as_json=chosen.json, before=chosen.before)


if __name__ == "__main__":
    main()

"""Stages: how fast media are decoded, pictures encoded, prompts answered and rows landed here.

Each stage is measured alone, on noise of the size that the model's budget gives: a stage in a full
run shares the processor with the others, which a real `index` shows.
"""

import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from torch import Tensor

from pipeline.decode import DecodePlan, Sampling, decode
from pipeline.encode import Encoder
from pipeline.generate import Generation, Generator, Handle, Parameters, Prompt
from pipeline.land.batch import join_ranges
from pipeline.land.commit import GroupCommitter
from pipeline.land.lake import open_lake
from pipeline.land.perform import Performer
from pipeline.land.protocol import Protocol
from pipeline.vlm.clip import still_tokens
from pipeline.vlm.preprocess import smart_resize
from schemas.features import Features
from schemas.shards import Budget, MediaInfo, Shard
from schemas.tables import FRAMES
from services.model.asking import bounds
from services.model.facts import ModelFacts

FRAME: Final = (720, 1280)
PAGE: Final = (1754, 1240)
"""Height and width of a frame of video, and of a page of A4 at 150 dots an inch."""
ROWS: Final = 64
_FRAMES: Final = 8
_AFFORDED_S: Final = 5.0
_NEW: Final = 17  # too few for a repetition that would end an answer
_WORDS: Final = "Describe the picture."
_LANDED: Final = 16


@dataclass(frozen=True)
class Decoded:
    """How long media took: seconds a second of video at one frame a second, and a page."""

    video_s: float
    page_s: float
    frames_s: float


def decoding(video: Path, document: Path) -> Decoded:
    """Decode both in one child at a time, once more than is counted.

    Raises:
        InputError: of media that cannot be read.
    """
    lasts, shown, video_s = _decode(video)
    _, pages, document_s = _decode(document)
    return Decoded(video_s / max(lasts, 1.0), document_s / max(pages, 1), shown / video_s)


def _decode(path: Path) -> tuple[float, int, float]:
    """How long it lasts, pictures that were kept, and seconds of work."""
    plan = DecodePlan(Sampling("rate", 1.0))
    for _ in range(2):
        lasts, pictures = 0.0, 0
        started = time.perf_counter()
        for one in decode(path, plan):
            if isinstance(one, MediaInfo):
                lasts = (one.duration_us or 0) / 1e6
            elif isinstance(one, Shard):
                pictures += one.rows.num_rows
        taken = time.perf_counter() - started
    return lasts, pictures, taken


def sizes(facts: ModelFacts) -> tuple[int, int]:
    """Visual tokens of a frame and of a page, by the model's budget."""
    budget = Budget()
    frame, page = (_fitted(facts, *one) for one in ((FRAME, budget.frame), (PAGE, budget.page)))
    return still_tokens(*frame), still_tokens(*page)


def _fitted(facts: ModelFacts, size: tuple[int, int], tokens: int) -> tuple[int, int]:
    low, high = bounds(facts, tokens)
    return smart_resize(*size, min_pixels=low, max_pixels=high)


def encoding(encoder: Encoder, facts: ModelFacts) -> tuple[list[Features], float]:
    """Features of frames of noise, no two alike, and visual tokens a second.

    A first frame warms everything up, and says how many can be afforded.
    """
    noise = np.random.default_rng(0)
    size = _fitted(facts, FRAME, Budget().frame)

    def encode(count: int) -> tuple[list[Features], float]:
        frames = [noise.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(count)]
        started = time.perf_counter()
        return encoder.encode(frames), time.perf_counter() - started

    _, first_s = encode(1)
    features, taken = encode(max(1, min(_FRAMES, int(_AFFORDED_S / first_s))))
    return features, sum(len(one.tokens) for one in features) / taken


@dataclass(frozen=True)
class Answered:
    """Tokens a second of a decoder: of prompts, of answers, and how many a prompt has besides."""

    prompt_tokens_s: float
    output_tokens_s: float
    rows: int
    prompt_tokens: int


def answering(
    generator: Generator, stops: Collection[int], features: Sequence[Features], rows: int
) -> Answered:
    """Ask so many prompts at a time: read what they begin with, and go on from there.

    Args:
        generator: of a checkpoint.
        stops: tokens that end an answer; here none is given.
        features: of frames; taken again where there are fewer than prompts.
        rows: prompts at a time.
    """
    asked = [features[number % len(features)] for number in range(rows)]
    go_on = Parameters(mask=partial(_without, list(stops)))

    def ask(new: int) -> tuple[float, list[Handle], list[Generation]]:
        started = time.perf_counter()
        prompt = Prompt(_WORDS, new)
        handles = [generator.submit([one], prompt, go_on) for one in asked]
        given = [one.result() for one in handles]
        return time.perf_counter() - started, handles, given

    reading_s, held, given = ask(1)  # while these are held, what they have read stays in the cache
    first_s = ask(1)[0]
    whole_s, _, answers = ask(_NEW)
    del held
    words = given[0].prompt_tokens - given[0].visual_tokens
    read = sum(len(one.tokens) for one in features[:rows]) + words * rows
    more = sum(one.output_tokens for one in answers) - rows
    return Answered(read / reading_s, more / max(whole_s - first_s, 1e-9), rows, words)


def _without(stops: list[int], _: Sequence[int], logits: Tensor) -> Tensor:
    logits[stops] = -inf
    return logits


def landing() -> tuple[float, float]:
    """Seconds of a commit to a folder, and of each part more that is in it, its file included."""
    with (
        tempfile.TemporaryDirectory(prefix="reelpage-") as folder,
        open_lake(Path(folder) / "lake") as place,
        GroupCommitter(place, delay_s=0.0) as tables,
        ThreadPoolExecutor(_LANDED) as pool,
    ):
        performer, protocol = Performer(tables, place.objects), Protocol(join_ranges, pa.table({}))

        def land(part: int) -> object:
            rows = _rows(part)
            return performer.run(protocol.append("frames", f"bench-{part}", 0, rows))

        land(0)
        alone = _seconds(lambda: land(1))
        all_of_them = _seconds(lambda: list(pool.map(land, range(2, 2 + _LANDED))))
    return alone, max(all_of_them - alone, 0.0) / (_LANDED - 1)


def _seconds(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def _rows(part: int) -> pa.Table:
    row = {"media_id": f"{part:064x}", "sampling": "bench", "uri": "/bench", "run_id": "bench"}
    rows = [row | {"frame_no": number, "t_us": number * 1_000_000} for number in range(10)]
    return pa.Table.from_pylist(rows, schema=FRAMES)

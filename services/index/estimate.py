"""Estimate: what a run would read and cost, before it starts."""

import math
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Final

import numpy as np

from pipeline.consume import Input
from pipeline.decode import probe
from pipeline.vlm.clip import MOST_FRAMES, clip_tokens, frame_size, still_tokens
from pipeline.vlm.preprocess import smart_resize
from schemas.errors import ReelpageError
from schemas.jobs import SEGMENT, prompts_of
from schemas.shards import MediaInfo
from services.ingest.recipe import MICRO, Recipe
from services.model.asking import bounds
from services.model.in_process import InProcess
from services.model.wire import ServedModel

_A4: Final = (842, 595)
_SCENE_FPS: Final = 0.2
"""Scenes a second that a plan assumes; nobody knows before decoding."""


@dataclass
class Estimate:
    """Totals of a plan; `unreadable` inputs would become failures."""

    files: int = 0
    bytes: int = 0
    video_hours: float = 0.0
    frames: int = 0
    pages: int = 0
    visual_tokens: int = 0
    seconds: float = 0.0
    unreadable: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def estimate(inputs: Iterable[Input], recipe: Recipe, model: InProcess) -> Estimate:
    """Probe every input and time the model on a few pictures."""
    total = Estimate()
    for source in inputs:
        total.files += 1
        total.bytes += source.size
        try:
            if source.error is not None:
                raise source.error
            _add(total, probe(source.path), recipe, model.model())
        except ReelpageError as error:
            total.unreadable.append(error.message)
        source.discard()
    total.seconds = total.visual_tokens * _seconds_per_token(recipe, model)
    return total


def _add(total: Estimate, info: MediaInfo, recipe: Recipe, model: ServedModel) -> None:
    plan, budget = recipe.plan, recipe.plan.budget
    if info.kind == "video":
        seconds = (info.duration_us or 0) / MICRO
        total.video_hours += seconds / 3600
        pictures = {
            "rate": math.ceil(seconds * plan.sampling.value),
            "count": int(plan.sampling.value),
            "scene": int(seconds * _SCENE_FPS) + 1,
        }[plan.sampling.mode]
        total.frames += pictures
        height, width = info.height, info.width
    else:
        pictures = info.pages
        total.pages += pictures
        height, width = (info.height, info.width) if info.height else _A4
    height, width = max(height, 1), max(width, 1)
    units = {task.unit for task in prompts_of(recipe.tasks)}
    if units != {SEGMENT}:
        low, high = bounds(model, budget.frame if info.kind == "video" else budget.page)
        rows, columns = smart_resize(height, width, min_pixels=low, max_pixels=high)
        total.visual_tokens += pictures * still_tokens(rows, columns)
    if info.kind == "video" and SEGMENT in units:
        segments = max(1, math.ceil((info.duration_us or 0) / plan.segment_us))
        frames = min(math.ceil(pictures / segments), MOST_FRAMES)
        size = frame_size(height, width, max(frames, 1), bounds(model, budget.clip)[1])
        total.visual_tokens += min(segments, pictures) * clip_tokens(frames, *size)


def _seconds_per_token(recipe: Recipe, model: InProcess) -> float:
    """Time the whole model on a batch of noise at the budget's size."""
    prompts = prompts_of(recipe.tasks)
    if not prompts:
        return 0.0
    read = model.loaded.read
    low, high = bounds(model.model(), recipe.plan.budget.frame)
    rows, columns = smart_resize(720, 1280, min_pixels=low, max_pixels=high)
    noise = np.random.default_rng(0).integers(0, 256, (4, rows, columns, 3), dtype=np.uint8)
    read(list(noise[:1]), prompts)
    started = time.perf_counter()
    read(list(noise), prompts)
    return (time.perf_counter() - started) / (len(noise) * still_tokens(rows, columns))

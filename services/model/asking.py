"""Asking: all tasks about the pictures of a shard, or about its frames as one clip."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.decode import model_picture, pixels
from pipeline.land.rows import Answer
from pipeline.vlm.clip import TOKEN, Clip, Item, even, frame_size
from pipeline.vlm.preprocess import resize
from schemas.jobs import SEGMENT, Task
from schemas.shards import Shard
from services.model.facts import ModelFacts
from services.model.same import alike
from services.model.wire import ServedModel


@dataclass(frozen=True)
class Seen:
    """Which units of a shard the model sees: pictures, or the segment as a clip.

    Attributes:
        like: for each unit the one whose answers it gets, most often itself.
        asked: those that the model is asked about.
    """

    like: Sequence[int]
    asked: Sequence[int]


def is_clip(tasks: Sequence[Task]) -> bool:
    """Whether tasks, all about the same kind of unit, are about segments."""
    return tasks[0].unit == SEGMENT


def look(shard: Shard, as_clip: bool, model: ServedModel) -> tuple[Seen, list[Item]]:
    """What is shown to a model, at the size that it takes: an item for each unit that is asked."""
    blank = shard.rows.column("is_blank").to_pylist()
    if as_clip:
        if all(blank):
            return Seen([0] if blank else [], []), []
        return Seen([0], [0]), [clip_of(shard, bounds(model, shard.budget.clip)[1])]
    images = shard.rows.column("image").to_pylist()
    is_video = "frame_no" in shard.rows.schema.names
    low, high = bounds(model, shard.budget.frame if is_video else shard.budget.page)
    shown = [
        None if empty else model_picture(image, min_pixels=low, max_pixels=high)
        for image, empty in zip(images, blank, strict=True)
    ]
    like = alike(shown) if is_video else list(range(len(shown)))
    asked = {
        index: picture
        for index, picture in enumerate(shown)
        if picture is not None and like[index] == index
    }
    return Seen(like, list(asked)), list(asked.values())


def bounds(model: ServedModel | ModelFacts, tokens: int) -> tuple[int, int]:
    """The least and the most pixels of a picture of so many visual tokens."""
    most = min(model.max_pixels, tokens * TOKEN)
    return min(model.min_pixels, most), most


def told(
    shard: Shard, tasks: Sequence[Task], seen: Seen, answers: Sequence[list[Answer]]
) -> list[list[Answer]]:
    """For each unit one answer a task, of those about the units that were asked."""
    given = dict(zip(seen.asked, answers, strict=True))
    return [
        given.get(index, _blank(tasks)) if source == index else _as_of(shard, source, given[source])
        for index, source in enumerate(seen.like)
    ]


def clip_of(shard: Shard, max_pixels: int) -> Clip:
    """All frames that a segment's shard keeps, at an even rate and at the size of the first.

    Raises:
        InputError: `aspect_ratio`.
    """
    rows = shard.rows
    numbers, times = (rows.column(name).to_pylist() for name in ("frame_no", "t_us"))
    shown, fps = even(numbers, times, shard.rate, shard.end - shard.start)
    height, width = (rows.column(name)[0].as_py() for name in ("height", "width"))
    size = frame_size(height, width, len(shown), max_pixels)
    frames = np.empty((len(shown), *size, 3), np.uint8)
    for place, index in enumerate(shown):
        again = place > 0 and index == shown[place - 1]
        image = rows.column("image")[index]
        frames[place] = frames[place - 1] if again else resize(pixels(image.as_py()), *size)
    return Clip(frames, fps)


def _blank(tasks: Sequence[Task]) -> list[Answer]:
    return [Answer(task, "", "blank") for task in tasks]


def _as_of(shard: Shard, index: int, answers: Sequence[Answer]) -> list[Answer]:
    """Answers about a frame that looks like another one; they cost nothing."""
    number = shard.rows.column("frame_no")[index].as_py()
    return [
        Answer(one.task, one.text, one.finish_reason, logprob=one.logprob, same_as=number)
        for one in answers
    ]

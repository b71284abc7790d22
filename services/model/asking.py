"""Asking: all tasks about the pictures of a shard, or about its frames as one clip."""

from collections.abc import Callable, Sequence

import numpy as np

from pipeline.decode import model_picture, pixels
from pipeline.land.rows import Answer
from pipeline.vlm.clip import Clip, Item, even, frame_size
from pipeline.vlm.preprocess import resize
from schemas.jobs import SEGMENT, Task
from schemas.shards import Shard
from services.model.same import alike
from services.model.wire import ServedModel

Read = Callable[[Sequence[Item], Sequence[Task]], list[list[Answer]]]
"""Answers of a model: for each picture or clip, one a task."""


def shard_answers(
    shard: Shard, tasks: Sequence[Task], read: Read, model: ServedModel
) -> list[list[Answer]]:
    """Answers about each unit; what is blank never reaches the model, which would invent text.

    Nor does a frame in which nothing is new: it gets the answers of the one before.

    Args:
        shard: pictures as they are kept.
        tasks: what is asked, all of it about the same kind of unit.
        read: asks the model ...
        model: ... which takes pictures of so many pixels.

    Returns:
        For each picture one answer a task; for a segment a single such list, or none for one
        without frames.
    """
    if tasks[0].unit == SEGMENT:
        return _clip_answers(shard, tasks, read, model)
    blank = shard.rows.column("is_blank").to_pylist()
    images = shard.rows.column("image").to_pylist()
    low, high = model.min_pixels, model.max_pixels
    shown = [
        None if empty else model_picture(image, min_pixels=low, max_pixels=high)
        for image, empty in zip(images, blank, strict=True)
    ]
    is_video = "frame_no" in shard.rows.schema.names
    like = alike(shown) if is_video else list(range(len(shown)))
    asked = [
        (index, picture)
        for index, picture in enumerate(shown)
        if picture is not None and like[index] == index
    ]
    read_of = read([picture for _, picture in asked], tasks) if asked else []
    given = {index: answers for (index, _), answers in zip(asked, read_of, strict=True)}
    return [
        given.get(index, _blank(tasks)) if source == index else _as_of(shard, source, given[source])
        for index, source in enumerate(like)
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


def _clip_answers(
    shard: Shard, tasks: Sequence[Task], read: Read, model: ServedModel
) -> list[list[Answer]]:
    if not shard.rows.num_rows:
        return []
    if all(shard.rows.column("is_blank").to_pylist()):
        return [_blank(tasks)]
    return read([clip_of(shard, model.max_pixels)], tasks)


def _blank(tasks: Sequence[Task]) -> list[Answer]:
    return [Answer(task, "", "blank") for task in tasks]


def _as_of(shard: Shard, index: int, answers: Sequence[Answer]) -> list[Answer]:
    """Answers about a frame that looks like another one; they cost nothing."""
    number = shard.rows.column("frame_no")[index].as_py()
    return [
        Answer(one.task, one.text, one.finish_reason, logprob=one.logprob, same_as=number)
        for one in answers
    ]

"""Asking: all tasks about the pictures of a shard."""

from collections.abc import Callable, Sequence

from numpy import uint8
from numpy.typing import NDArray

from pipeline.decode import model_picture
from pipeline.land.rows import Answer
from schemas.jobs import Task
from schemas.shards import Shard
from services.model.wire import ServedModel

Picture = NDArray[uint8]
Read = Callable[[Sequence[Picture], Sequence[Task]], list[list[Answer]]]
"""Answers of a model: for each picture `uint8 (height, width, 3)`, one a task."""


def shard_answers(
    shard: Shard, tasks: Sequence[Task], read: Read, model: ServedModel
) -> list[list[Answer]]:
    """Answers for each picture; blank ones never reach the model, which would invent text.

    Args:
        shard: pictures as they are kept.
        tasks: what is asked about each.
        read: asks the model ...
        model: ... which takes pictures of so many pixels.
    """
    blank = shard.rows.column("is_blank").to_pylist()
    images = shard.rows.column("image").to_pylist()
    low, high = model.min_pixels, model.max_pixels
    shown = [
        model_picture(image, min_pixels=low, max_pixels=high)
        for image, empty in zip(images, blank, strict=True)
        if not empty
    ]
    given = iter(read(shown, tasks) if shown else [])
    return [
        [Answer(task, "", "blank") for task in tasks] if empty else next(given) for empty in blank
    ]

"""Asking: all tasks about the pictures of a shard."""

from collections.abc import Callable, Sequence

from numpy import uint8
from numpy.typing import NDArray

from pipeline.decode import pixels
from pipeline.land.rows import Answer
from schemas.jobs import Task
from schemas.shards import Shard

Picture = NDArray[uint8]
Read = Callable[[Sequence[Picture], Sequence[Task]], list[list[Answer]]]
"""Answers of a model: for each picture `uint8 (height, width, 3)`, one a task."""


def shard_answers(shard: Shard, tasks: Sequence[Task], read: Read) -> list[list[Answer]]:
    """Answers for each picture; blank ones never reach the model, which would invent text."""
    blank = shard.rows.column("is_blank").to_pylist()
    images = shard.rows.column("image").to_pylist()
    shown = [pixels(image) for image, empty in zip(images, blank, strict=True) if not empty]
    given = iter(read(shown, tasks) if shown else [])
    return [
        [Answer(task, "", "blank") for task in tasks] if empty else next(given) for empty in blank
    ]

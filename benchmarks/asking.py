"""Asking: a shard put to whatever reads pictures, without a lake or a graph."""

from collections.abc import Callable, Sequence

from pipeline.land.rows import Answer
from pipeline.vlm.clip import Item
from schemas.jobs import Task
from schemas.shards import Shard
from services.model.asking import is_clip, look, told
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
    seen, items = look(shard, is_clip(tasks), model)
    return told(shard, tasks, seen, read(items, tasks) if items else [])

"""Stub: a model that answers by the picture's bytes after a fixed time; it needs no torch."""

import time
import zlib
from collections.abc import Sequence

from benchmarks.asking import shard_answers
from pipeline.land.rows import Answer
from pipeline.vlm.clip import Clip, Item
from schemas.jobs import Task
from schemas.shards import Shard
from services.model.wire import ServedModel

MODEL = ServedModel("stub", "stub-1", 3136, 12544)


class Stub:
    """An `Answerer`; its `read` stands for a model's."""

    def __init__(self, seconds: float = 0.0) -> None:
        """Take how long the answers about a shard take."""
        self._seconds = seconds

    def read(self, items: Sequence[Item], tasks: Sequence[Task]) -> list[list[Answer]]:
        time.sleep(self._seconds)
        return [[_answer(item, task) for task in tasks] for item in items]

    def model(self) -> ServedModel:
        return MODEL

    def read_model(self) -> None:
        pass

    def answers(
        self, name: str, shard: Shard, tasks: Sequence[Task], revision: str
    ) -> list[list[Answer]]:
        return shard_answers(shard, tasks, self.read, MODEL)


def _answer(item: Item, task: Task) -> Answer:
    seen = item.frames if isinstance(item, Clip) else item
    text = f"{task.name} {zlib.crc32(seen.tobytes()):08x}"
    return Answer(task, text, "stop")

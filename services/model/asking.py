"""Asking: all tasks about the pictures of a shard."""

from collections.abc import Callable, Sequence

from numpy import uint8
from numpy.typing import NDArray

from pipeline.decode import pixels
from pipeline.land.rows import Answer
from schemas.jobs import Task
from schemas.shards import Shard
from services.index.progress import Progress
from services.index.summary import Summary

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


class Asker:
    """Asks the model, and counts what it did."""

    def __init__(self, read: Read, progress: Progress, summary: Summary) -> None:
        self._read, self._progress, self._summary = read, progress, summary

    def answers(self, shard: Shard, tasks: Sequence[Task]) -> list[list[Answer]]:
        """Answers for each picture of the shard, counted."""
        answers = shard_answers(shard, tasks, self._watched)
        self._count(answers)
        return answers

    def _watched(self, pictures: Sequence[Picture], tasks: Sequence[Task]) -> list[list[Answer]]:
        self._progress.encode.in_flight = len(pictures)
        answers = self._read(pictures, tasks)
        self._progress.encode.in_flight = 0
        return answers

    def _count(self, answers: Sequence[Sequence[Answer]]) -> None:
        visual = sum(row[0].visual_tokens for row in answers if row)
        flat = [answer for row in answers for answer in row]
        self._summary.visual_tokens += visual
        self._summary.output_tokens += sum(answer.output_tokens for answer in flat)
        self._progress.encode.done += visual
        self._progress.generate.done += len(flat)

"""Asking: all tasks about the pictures of a shard."""

from collections.abc import Sequence

from pipeline.decode import pixels
from pipeline.rows import Answer
from schemas.jobs import Task
from schemas.shards import Shard
from services.progress import Progress
from services.reader import Reader
from services.summary import Summary


class Asker:
    """Asks the model, and counts what it did."""

    def __init__(self, reader: Reader, progress: Progress, summary: Summary) -> None:
        self._reader, self._progress, self._summary = reader, progress, summary

    def answers(self, shard: Shard, tasks: Sequence[Task]) -> list[list[Answer]]:
        """Answers for each picture; blank ones never reach the model, which would invent text."""
        blank = shard.rows.column("is_blank").to_pylist()
        images = shard.rows.column("image").to_pylist()
        shown = [pixels(image) for image, empty in zip(images, blank, strict=True) if not empty]
        self._progress.encode.in_flight = len(shown)
        given = iter(self._reader.read(shown, tasks) if shown else [])
        self._progress.encode.in_flight = 0
        answers = [
            [Answer(task, "", "blank") for task in tasks] if empty else next(given)
            for empty in blank
        ]
        self._count(answers)
        return answers

    def _count(self, answers: Sequence[Sequence[Answer]]) -> None:
        visual = sum(row[0].visual_tokens for row in answers if row)
        flat = [answer for row in answers for answer in row]
        self._summary.visual_tokens += visual
        self._summary.output_tokens += sum(answer.output_tokens for answer in flat)
        self._progress.encode.done += visual
        self._progress.generate.done += len(flat)

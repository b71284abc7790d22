"""Wire: what a worker and the graph say to each other over HTTP, as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.land.rows import Answer
from schemas.errors import InputError
from schemas.jobs import Task


@dataclass(frozen=True)
class ServedModel:
    """What a recipe and the rows need to know of the model that a graph serves.

    Attributes:
        name: of the checkpoint, a column value.
        revision: identity of its content.
        min_pixels: fewest pixels of a picture.
        max_pixels: most pixels of a picture.
    """

    name: str
    revision: str
    min_pixels: int
    max_pixels: int


def question_to_json(shard: str, tasks: Sequence[Task]) -> bytes:
    """The body of `POST /v1/shards`: equal bytes for equal questions."""
    value = {"shard": shard, "tasks": [asdict(task) for task in tasks]}
    return json.dumps(value, ensure_ascii=False).encode()


def question_from_json(body: bytes) -> tuple[str, tuple[Task, ...]]:
    """Name of the shard and the tasks.

    Raises:
        InputError: `bad_job`.
    """
    try:
        value = json.loads(body)
        tasks = tuple(Task(**task) for task in value["tasks"])
        good = all(_is_good(task) for task in tasks)
        if good and tasks and isinstance(value["shard"], str) and set(value) == {"shard", "tasks"}:
            return value["shard"], tasks
        problem = "a shard's name and at least one task are expected, and nothing else"
    except (ValueError, TypeError, KeyError) as error:
        problem = repr(error)
    message = f"the body is no question about a shard: {problem}"
    raise InputError("bad_job", message)


def answers_to_json(answers: Sequence[Sequence[Answer]]) -> bytes:
    """The reply to `POST /v1/shards`; an answer's task is known by its place."""
    rows = [[_without_task(answer) for answer in row] for row in answers]
    return json.dumps({"answers": rows}, ensure_ascii=False).encode()


def answers_from_json(body: bytes, tasks: Sequence[Task]) -> list[list[Answer]]:
    """For each picture one answer a task.

    Raises:
        ValueError: the body is no such reply.
    """
    try:
        return [
            [Answer(task, **answer) for task, answer in zip(tasks, row, strict=True)]
            for row in json.loads(body)["answers"]
        ]
    except (TypeError, KeyError) as error:
        message = f"no answers: {error!r}"
        raise ValueError(message) from error


def _is_good(task: Task) -> bool:
    texts = isinstance(task.name, str) and isinstance(task.prompt, str)
    bound = task.max_new_tokens
    return texts and isinstance(bound, int) and not isinstance(bound, bool) and bound > 0


def _without_task(answer: Answer) -> dict[str, Any]:
    value = asdict(answer)
    del value["task"]
    return value

"""Wire: what a worker and the graph say to each other over HTTP, as JSON."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from pipeline.land.rows import Answer
from pipeline.recognise import Line, ShardText
from schemas.contract import read
from schemas.errors import InputError
from schemas.jobs import NAME, TASKS, Task, is_askable
from services.calls.replies import from_json, to_json

_HALF: Final = re.compile("[\ud800-\udfff]")  # of a character: no tokenizer takes it
_QUESTION: Final = frozenset({"shard", "revision", "tasks"})
_TEXT_QUESTION: Final = frozenset({"shard", "revision"})
SHARDS: Final = "/v1/shards"
"""Where questions to the model are posted ..."""
TEXT: Final = "/v1/text"
"""... and those for the text of a shard."""


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


@dataclass(frozen=True)
class Question:
    """What the graph is asked about a shard.

    Attributes:
        shard: name of its object in the lake.
        revision: of the model that has to answer; empty for any.
        tasks: asked of each unit, all of one kind.
    """

    shard: str
    revision: str
    tasks: tuple[Task, ...]


@dataclass(frozen=True)
class TextQuestion:
    """Whose text the graph is asked for.

    Attributes:
        shard: name of its object in the lake.
        revision: of the recogniser that has to read it.
    """

    shard: str
    revision: str


def model_to_json(model: ServedModel) -> bytes:
    """The reply to `GET /v1/model`."""
    return to_json({"model": asdict(model)})


def model_from_json(body: bytes) -> ServedModel:
    """What `model_to_json` was given.

    Raises:
        ValueError: the body is no such reply.
        SetupError: `version_mismatch`.
    """
    value = from_json(body).get("model")
    try:
        return ServedModel(**value)  # type: ignore[arg-type]
    except TypeError as error:
        message = f"no model: {error}"
        raise ValueError(message) from error


def question_to_json(shard: str, tasks: Sequence[Task], revision: str) -> bytes:
    """The body of `POST /v1/shards`: equal bytes for equal questions."""
    asked = [asdict(task) for task in tasks]
    return to_json({"shard": shard, "revision": revision, "tasks": asked})


def question_from_json(body: bytes) -> Question:
    """What `question_to_json` was given.

    Raises:
        InputError: `bad_job`, for the first thing that is none of a question.
        SetupError: `version_mismatch`.
    """
    value = _fields(body, _QUESTION)
    tasks = value["tasks"]
    good = isinstance(tasks, list) and 1 <= len(tasks) <= TASKS
    _check(good, f"it has 1 to {TASKS} tasks")
    asked = tuple(_task(one) for one in tasks)
    _check(len({task.unit for task in asked}) == 1, "its tasks are about one kind of unit")
    return Question(value["shard"], value["revision"], asked)


def answers_to_json(answers: Sequence[Sequence[Answer]]) -> bytes:
    """The reply to `POST /v1/shards`; an answer's task is known by its place."""
    return to_json({"answers": [[_without_task(answer) for answer in row] for row in answers]})


def answers_from_json(body: bytes, tasks: Sequence[Task]) -> list[list[Answer]]:
    """For each unit one answer a task.

    Raises:
        ValueError: the body is no such reply.
        SetupError: `version_mismatch`.
    """
    try:
        return [
            [Answer(task, **answer) for task, answer in zip(tasks, row, strict=True)]
            for row in from_json(body)["answers"]
        ]
    except (TypeError, KeyError) as error:
        message = f"no answers: {error!r}"
        raise ValueError(message) from error


def text_question_to_json(shard: str, revision: str) -> bytes:
    """The body of `POST /v1/text`: equal bytes for equal questions."""
    return to_json({"shard": shard, "revision": revision})


def text_question_from_json(body: bytes) -> TextQuestion:
    """What `text_question_to_json` was given.

    Raises:
        InputError: `bad_job`, for the first thing that is none of a question.
        SetupError: `version_mismatch`.
    """
    value = _fields(body, _TEXT_QUESTION)
    return TextQuestion(value["shard"], value["revision"])


def text_to_json(text: ShardText) -> bytes:
    """The reply to `POST /v1/text`."""
    return to_json(asdict(text))


def text_from_json(body: bytes) -> ShardText:
    """What `text_to_json` was given.

    Raises:
        ValueError: the body is no such reply.
        SetupError: `version_mismatch`.
    """
    value = from_json(body)
    try:
        lines = [_line(one) for one in value.pop("lines")]
        return ShardText(lines, **value)
    except (TypeError, KeyError) as error:
        message = f"no text: {error!r}"
        raise ValueError(message) from error


def _line(value: dict[str, Any]) -> Line:
    box = value.pop("box")
    return Line(**value, box=None if box is None else tuple(box))


def _fields(body: bytes, names: frozenset[str]) -> dict[str, Any]:
    """The fields of a question, of which shard and revision are names.

    Raises:
        InputError: `bad_job`.
        SetupError: `version_mismatch`.
    """
    try:
        value = from_json(body)
    except ValueError as error:
        raise _no_question(str(error)) from error
    _check(set(value) == names, f"its fields are {', '.join(sorted(names))}")
    named = all(_is_text(value[one], NAME) for one in ("shard", "revision"))
    _check(named, "shard and revision are names")
    return value


def _task(value: Any) -> Task:  # noqa: ANN401 - JSON of anybody
    try:
        task = read(Task, value, "task")
    except ValueError as error:
        raise _no_question(str(error)) from error
    _check(is_askable(task), "a task is one that jobs may have")
    return task


def _is_text(value: object, most: int) -> bool:
    return isinstance(value, str) and len(value) <= most and not _HALF.search(value)


def _check(condition: bool, what: str) -> None:
    if not condition:
        raise _no_question(what)


def _no_question(why: str) -> InputError:
    return InputError("bad_job", f"the body is no question about a shard: {why}")


def _without_task(answer: Answer) -> dict[str, Any]:
    value = asdict(answer)
    del value["task"]
    return value

"""Asked: rows of what a shard that is kept is asked: lines of text, and answers of the model."""

from collections.abc import Sequence
from typing import Final

from pipeline.land.rows import Row, answer_rows, line_rows
from pipeline.recognise import MODEL, revision
from schemas.jobs import TEXT, Task, prompts_of
from schemas.shards import MediaInfo, MediaWarning, Shard
from services.ingest.subject import Subject, Tools

_UNREAD: Final = MediaWarning(
    "text_unread",
    "most of what looks like text on some picture could not be read; "
    "`reelpage models` names the scripts that can be added",
)


def asked_rows(
    subject: Subject, tools: Tools, info: MediaInfo, shard: Shard, tasks: Sequence[Task]
) -> tuple[dict[str, list[Row]], tuple[MediaWarning, ...]]:
    """Rows of `lines` and `answers`, by table, and what is doubtful about them.

    Raises:
        InputError, TransientError, SetupError: what the recogniser and the model raise.
    """
    rows: dict[str, list[Row]] = {}
    warnings: tuple[MediaWarning, ...] = ()
    name = subject.store.name(shard.part)
    if TEXT in tasks:
        text = tools.reader.text(name, shard)
        rows["lines"] = line_rows(subject.medium, info, shard, text.lines, (MODEL, revision()))
        warnings = (_UNREAD,) if text.unread else ()
    if prompts := prompts_of(tasks):
        given = tools.answerer.answers(name, shard, prompts, subject.recipe.revision)
        rows["answers"] = answer_rows(subject.medium, info.kind, shard, given, subject.model)
    return rows, warnings

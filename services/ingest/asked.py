"""Asked: rows of what a shard that is kept is asked: lines of text, and answers of the model."""

from collections.abc import Sequence

from pipeline.decode import pixels
from pipeline.land.rows import Row, answer_rows, line_rows
from pipeline.recognise import MODEL, revision, shard_lines
from schemas.jobs import TEXT, Task, prompts_of
from schemas.shards import MediaInfo, Shard
from services.ingest.subject import Subject, Tools


def asked_rows(
    subject: Subject, tools: Tools, info: MediaInfo, shard: Shard, tasks: Sequence[Task]
) -> dict[str, list[Row]]:
    """Rows of `lines` and `answers`, by table.

    Raises:
        InputError, TransientError, SetupError: what the recogniser and the model raise.
    """
    rows: dict[str, list[Row]] = {}
    if TEXT in tasks:
        lines = shard_lines(shard, pixels, tools.reader)
        rows["lines"] = line_rows(subject.medium, info, shard, lines, (MODEL, revision()))
    if prompts := prompts_of(tasks):
        name = subject.store.name(shard.part)
        given = tools.answerer.answers(name, shard, prompts, subject.recipe.revision)
        rows["answers"] = answer_rows(subject.medium, info.kind, shard, given, subject.model)
    return rows

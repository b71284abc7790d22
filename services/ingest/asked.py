"""Asked: rows of what a shard that is kept is asked: lines of text, and answers of the model."""

import logging
from collections.abc import Generator, Sequence
from functools import cache

from pipeline.land.rows import Row, answer_rows, line_rows, segment_answer_rows
from pipeline.recognise import MODEL, revision
from schemas.jobs import SEGMENT, TEXT, Task, prompts_of
from schemas.shards import MediaInfo, Shard
from services.ingest.subject import Subject, Tools

log = logging.getLogger(__name__)

AskedRows = tuple[dict[str, list[Row]], int]


def asked_rows(
    subject: Subject, tools: Tools, info: MediaInfo, shard: Shard, tasks: Sequence[Task]
) -> Generator[None, None, AskedRows]:
    """Rows of `lines` and `answers`, by table, and how many subtitles' pictures were not read.

    Yields:
        Nothing, before each question: what is asked need not be asked to its end.

    Raises:
        InputError, TransientError, SetupError: what the recogniser and the model raise.
    """
    rows: dict[str, list[Row]] = {}
    unread_cues = 0
    name = subject.store.name(shard.part)
    yield
    if TEXT in tasks:
        text = tools.reader.text(name, shard)
        rows["lines"] = line_rows(subject.medium, info, shard, text.lines, (MODEL, revision()))
        unread_cues = text.unread_cues
        if text.unread or unread_cues:
            _say_unread()
        yield
    prompts, ask = prompts_of(tasks), tools.answerer.answers
    if about := [task for task in prompts if task.unit != SEGMENT]:
        given = ask(name, shard, about, subject.recipe.revision)
        rows["answers"] = answer_rows(subject.medium, info.kind, shard, given, subject.model)
        yield
    about = [task for task in prompts if task.unit == SEGMENT]
    if about and info.kind == "video":  # a page is no part of a clip
        given = ask(name, shard, about, subject.recipe.revision)
        more = segment_answer_rows(subject.medium, shard, given, subject.model)
        rows["answers"] = rows.get("answers", []) + more
    return rows, unread_cues


@cache
def _say_unread() -> None:
    """Once a process: which media it concerns, no table can say without landing twice."""
    log.warning(
        "on some pictures most of what looks like text could not be read; "
        "`reelpage models` names the scripts that can be added"
    )

"""Rows: what decode and generate gave, as rows of the tables. Plain functions, no I/O."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa

from pipeline.recognise import Line, language_of, script_of
from schemas.errors import ReelpageError
from schemas.jobs import StreamChunk, Task
from schemas.shards import MediaInfo, MediaWarning, Shard
from schemas.tables import TABLES

_MICRO: Final = 1e-6
_MESSAGE: Final = 2_000  # characters
Row = dict[str, Any]


@dataclass(frozen=True)
class Medium:
    """What every row of one medium carries."""

    media_id: str
    sampling: str
    uri: str
    run_id: str

    def columns(self) -> Row:
        """The leading columns of each table."""
        return asdict(self)


@dataclass(frozen=True)
class Answer:
    """What a model said to one task about one picture.

    Attributes:
        same_as: number of the frame that was asked about instead, which looks the same.
    """

    task: Task
    text: str
    finish_reason: str
    visual_tokens: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    logprob: float | None = None
    latency_us: int = 0
    same_as: int | None = None


def to_table(name: str, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return rows as a table of the lake's schema; missing columns are null."""
    return pa.Table.from_pylist([dict(row) for row in rows], schema=TABLES[name])


def frame_rows(medium: Medium, shard: Shard, shard_name: str) -> list[Row]:
    """Rows of `frames` for one video shard."""
    return [
        medium.columns()
        | _picture(row, shard_name, index)
        | {"segment_no": shard.part, "t_s": row["t_us"] * _MICRO}
        for index, row in enumerate(_without_images(shard))
    ]


def segment_rows(medium: Medium, shard: Shard) -> list[Row]:
    """The row of `segments` for one video shard."""
    return [
        medium.columns()
        | {
            "segment_no": shard.part,
            "start_us": shard.start,
            "end_us": shard.end,
            "start_s": shard.start * _MICRO,
            "end_s": shard.end * _MICRO,
            "frames": shard.rows.num_rows,
            "subtitles": shard.subtitles,
        }
    ]


def page_rows(medium: Medium, shard: Shard, shard_name: str) -> list[Row]:
    """Rows of `pages` for one shard of a document or image."""
    return [
        medium.columns() | _picture(row, shard_name, index)
        for index, row in enumerate(_without_images(shard))
    ]


def answer_rows(
    medium: Medium,
    kind: str,
    shard: Shard,
    answers: Sequence[Sequence[Answer]],
    model: tuple[str, str],
) -> list[Row]:
    """Rows of `answers` about pictures: one a picture and task.

    Args:
        medium: identity of the medium.
        kind: video, document or image.
        shard: the pictures that were asked about.
        answers: for each picture of the shard, its answers.
        model: name and revision.
    """
    unit = "frame" if kind == "video" else "page"
    rows: list[Row] = []
    for picture, given in zip(_without_images(shard), answers, strict=True):
        t_us = picture.get("t_us")
        place = {
            "kind": kind,
            "unit": unit,
            "unit_no": picture[f"{unit}_no"],
            "t_us": t_us,
            "t_s": None if t_us is None else t_us * _MICRO,
            "model": model[0],
            "model_revision": model[1],
        }
        rows += [medium.columns() | place | _answer(answer) for answer in given]
    return rows


def segment_answer_rows(
    medium: Medium, shard: Shard, answers: Sequence[Sequence[Answer]], model: tuple[str, str]
) -> list[Row]:
    """Rows of `answers` about a segment as a clip: one a task.

    Args:
        medium: identity of the medium.
        shard: of a video.
        answers: one list of them, or nothing where the segment has no frames.
        model: name and revision.
    """
    if not answers:
        return []
    t_us = shard.rows.column("t_us")[0].as_py()
    place = {
        "kind": "video",
        "unit": "segment",
        "unit_no": shard.part,
        "t_us": t_us,
        "t_s": t_us * _MICRO,
        "start_us": shard.start,
        "end_us": shard.end,
        "model": model[0],
        "model_revision": model[1],
    }
    return [medium.columns() | place | _answer(answer) for given in answers for answer in given]


def line_rows(
    medium: Medium, info: MediaInfo, shard: Shard, lines: Sequence[Line], model: tuple[str, str]
) -> list[Row]:
    """Rows of `lines`.

    Args:
        medium: identity of the medium.
        info: its facts: the size of frames and of a single picture.
        shard: that the lines are of.
        lines: with places as shares of the picture.
        model: name and revision of what reads.
    """
    sizes = _sizes(info, shard)
    return [
        medium.columns()
        | asdict(line)
        | _place(line.box, sizes.get(line.unit_no, (info.width, info.height)))
        | {
            "kind": info.kind,
            "script": script_of(line.text),
            "language": line.language or language_of(line.text),
            "model": model[0],
            "model_revision": model[1],
        }
        for line in lines
    ]


def _sizes(info: MediaInfo, shard: Shard) -> dict[int, tuple[int, int]]:
    """Width and height of pages whose own size the medium does not say, as they are kept."""
    if info.kind == "video" or (info.kind == "image" and info.pages == 1):
        return {}
    return {row["page_no"]: (row["width"], row["height"]) for row in _without_images(shard)}


def _place(box: tuple[float, float, float, float] | None, size: tuple[int, int]) -> Row:
    names = ("x0", "y0", "x1", "y1")
    if box is None:
        return dict.fromkeys(names)
    pairs = zip(names, box, strict=True)
    return {name: round(share * size[n % 2]) for n, (name, share) in enumerate(pairs)}


def media_row(
    medium: Medium,
    info: MediaInfo,
    name: str,
    size: int,
    parts: int,
    pictures: int,
    warnings: Sequence[MediaWarning],
    chunk: StreamChunk | None = None,
) -> Row:
    """The row of `media`, written when all parts of the medium have landed.

    Args:
        medium: identity of the medium.
        info: its facts.
        name: of its file.
        size: bytes.
        parts: segments, or shards of pages.
        pictures: frames or pages with a row.
        warnings: about the medium; workers that share one may have the same.
        chunk: place in a live stream, if it is a piece of one.
    """
    video = info.kind == "video"
    facts = asdict(info)
    facts["pages"] = info.pages
    once = dict.fromkeys(warnings)
    return (
        medium.columns()
        | facts
        | {
            "name": name,
            "size_bytes": size,
            "segments": parts if video else 0,
            "frames": pictures if video else 0,
            "failed_pages": 0 if video else info.pages - pictures,
            "dropped_frames": sum(one.dropped_frames for one in once),
            "warnings": [f"{one.code}: {one.detail}" for one in once],
            "indexed_at": datetime.now(UTC),
        }
        | _place_in_stream(chunk)
    )


def failure_row(
    *,
    input_id: str,
    uri: str,
    recipe: str,
    stage: str,
    error: ReelpageError,
    run_id: str,
    attempt: int = 0,
    page_no: int = 0,
    size: int = 0,
    sampling: str | None = None,
    first_segment: int | None = None,
) -> Row:
    """A row of `failures`, of the whole medium unless a page or a range of segments is named."""
    unit = ("page", page_no) if page_no else ("media", 0)
    if first_segment is not None:
        unit = ("range", first_segment)
    return {
        "input_id": input_id,
        "uri": writable(uri),
        "unit": unit[0],
        "unit_no": unit[1],
        "recipe": recipe,
        "stage": stage,
        "code": error.code,
        "message": writable(error.message)[:_MESSAGE],
        "attempt": attempt,
        "size_bytes": size,
        "run_id": run_id,
        "failed_at": datetime.now(UTC),
        "sampling": sampling,
    }


def writable(text: str) -> str:
    """A text that every table keeps: half a surrogate pair becomes a question mark."""
    return text.encode(errors="replace").decode()


def tasks_json(tasks: Sequence[Task]) -> str:
    """The tasks of a run as JSON, for `runs`."""
    return json.dumps([asdict(task) for task in tasks], ensure_ascii=False)


def _place_in_stream(chunk: StreamChunk | None) -> Row:
    if chunk is None:
        return {}
    return {
        "stream": chunk.stream,
        "chunk_no": chunk.sequence,
        "recorded_at": chunk.start_us,
    }


def _without_images(shard: Shard) -> list[Row]:
    rows: list[Row] = shard.rows.drop_columns(["image"]).to_pylist()
    return rows


def _picture(row: Row, shard_name: str, index: int) -> Row:
    return row | {"shard": shard_name, "shard_row": index}


def _answer(answer: Answer) -> Row:
    columns = asdict(answer)
    task = columns.pop("task")
    # Batches of another composition change the last bits: three digits stay equal on a re-run.
    logprob = None if answer.logprob is None else round(answer.logprob, 3)
    return columns | {
        "task": task["name"],
        "prompt_id": answer.task.prompt_id,
        "prompt": answer.task.prompt,
        "answer": columns.pop("text"),
        "logprob": logprob,
    }

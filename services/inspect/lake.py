"""Inspect: what a lake holds, for `status`, `errors`, `show` and `retry`."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
from duckdb import DuckDBPyConnection

from pipeline.land.place import Place
from pipeline.land.store import read_shard
from pipeline.query.sql import connect, query, select
from schemas.errors import InputError, SetupError
from schemas.jobs import Task
from services.ingest.letters import is_mended

_OPEN_FAILURES = """
with known as (
    select f.* replace (coalesce(f.sampling, r.sampling) as sampling)
    from failures f left join runs r using (run_id))
select f.* from known f
where not exists (
    select 1 from failures later
    where later.input_id = f.input_id and later.unit_no = f.unit_no
      and later.recipe = f.recipe and later.attempt > f.attempt)
  and (f.unit = 'page' or not exists (
    select 1 from media m where m.uri = f.uri and m.indexed_at > f.failed_at))
  and (f.unit <> 'page' or not exists (
    select 1 from pages p where p.media_id = f.input_id and p.page_no = f.unit_no
      and p.sampling = f.sampling))
order by f.failed_at, f.uri, f.unit_no
"""
_TABLES = ("media", "segments", "frames", "pages", "answers", "failures", "runs")
_SPOT = re.compile(r"^(?P<name>.*?)(?:@(?P<clock>[\d:.]+)|#(?P<page>\d+))?$", re.S)


def status(place: Place) -> dict[str, Any]:
    """Row counts of all tables and the last run."""
    with connect(place) as lake:
        counts = {
            name: select(lake, f"select count(*) n from {name}")["n"][0].as_py() for name in _TABLES
        }
        runs = select(lake, "from runs order by started_at desc limit 1").to_pylist()
        failures = select(lake, _OPEN_FAILURES).num_rows
    return {"tables": counts, "open_failures": failures, "last_run": runs[0] if runs else None}


def open_failures(place: Place, where: str = "true") -> pa.Table:
    """Failures that no later attempt has mended and that fit an SQL condition.

    Raises:
        SetupError: `bad_query`.
    """
    found = query(place, f"with open as ({_OPEN_FAILURES}) from open where {where}")
    # Where prompts failed about a medium that was there, no later row of `media` tells of success.
    finished = query(
        place, "select media_id, m.sampling from media m join failures f on media_id = input_id"
    )
    there = set(zip(*finished.to_pydict().values(), strict=True))
    open_ = [
        (row["input_id"], row["sampling"]) not in there or not is_mended(place.objects, row)
        for row in found.to_pylist()
    ]
    return found.filter(pa.array(open_, pa.bool_()))


@dataclass(frozen=True)
class RetryJob:
    """Failed inputs of runs with the same recipe.

    Attributes:
        uris: media that failed as a whole.
        pages: or the failed pages of finished documents.
        sample: the run's `--sample`.
        tasks: what they are to be asked.
    """

    uris: tuple[str, ...]
    pages: Mapping[str, tuple[int, ...]]
    sample: str
    tasks: tuple[Task, ...]


def retry_jobs(place: Place, where: str) -> list[RetryJob]:
    """Open failures that fit an SQL condition, grouped by their run's recipe."""
    rows = query(
        place,
        f"with open as ({_OPEN_FAILURES})"
        " select r.sampling, r.tasks, o.unit, o.input_id, o.uri, list(distinct o.unit_no) numbers"
        f" from (from open where {where}) o join runs r using (run_id) group by all order by all",
    ).to_pylist()
    jobs: dict[tuple[str, tuple[Task, ...]], RetryJob] = {}
    for row in rows:
        tasks = _tasks(row["tasks"])
        if row["unit"] == "page":
            tasks = _asked(place, row["input_id"], row["sampling"]) or tasks
        sample = _sample_option(row["sampling"])
        job = jobs.get((row["sampling"], tasks), RetryJob((), {}, sample, tasks))
        if row["unit"] == "page":
            job = replace(job, pages={**job.pages, row["uri"]: tuple(sorted(row["numbers"]))})
        else:
            job = replace(job, uris=(*job.uris, row["uri"]))
        jobs[row["sampling"], tasks] = job
    return list(jobs.values())


def _asked(place: Place, media_id: str, sampling: str) -> tuple[Task, ...]:
    """All tasks whose answers about a medium are in the lake."""
    asked = query(
        place,
        "select distinct prompt_id from answers where media_id = $1 and sampling = $2",
        [media_id, sampling],
    )["prompt_id"].to_pylist()
    runs = query(place, "select distinct tasks from runs order by all")["tasks"].to_pylist()
    known = {task.prompt_id: task for run in runs for task in _tasks(run)}
    return tuple(known[prompt_id] for prompt_id in sorted(asked) if prompt_id in known)


def _tasks(text: str) -> tuple[Task, ...]:
    """The tasks of a row of `runs`."""
    return tuple(Task(**task) for task in json.loads(text))


def _sample_option(sampling: str) -> str:
    """The `--sample` option that gave a sampling's text."""
    mode, _, value = sampling.split()[0].partition("=")
    return {"rate": f"{value}fps", "count": f"{value}frames"}.get(mode, "scene")


@dataclass(frozen=True)
class Spot:
    """A medium, and perhaps an instant or a page of it."""

    name: str
    t_us: int | None = None
    page: int | None = None


def parse_spot(text: str) -> Spot:
    """Read `NAME`, `NAME@00:12:31` or `NAME#7`.

    Raises:
        SetupError: `usage`, for a time that is none.
    """
    match = _SPOT.match(text)
    assert match is not None
    if match["clock"]:
        try:
            parts = [float(part) for part in match["clock"].split(":")]
        except ValueError as error:
            message = f"{text}: the time after @ reads like 12:31 or 00:12:31.5"
            raise SetupError("usage", message) from error
        seconds = sum(part * 60**index for index, part in enumerate(reversed(parts)))
        return Spot(match["name"], t_us=round(seconds * 1e6))
    return Spot(match["name"], page=int(match["page"]) if match["page"] else None)


def show(place: Place, spot: Spot) -> dict[str, Any]:
    """Everything known of a medium, or of one instant or page of it.

    Returns:
        `media` (facts), `segments` or `pages`, `answers`, and `picture`: shard and row of the
        picture nearest to the spot.

    Raises:
        InputError: `unknown_media`, if the name fits none or several.
    """
    with connect(place) as lake:
        return _show(lake, spot)


def _show(lake: DuckDBPyConnection, spot: Spot) -> dict[str, Any]:
    media = _find(lake, spot.name)
    key: list[object] = [media["media_id"], media["sampling"]]
    where = "where media_id = ? and sampling = ?"
    if media["kind"] == "video":
        t_us = spot.t_us or 0
        near = f"from frames {where} order by abs(t_us - {t_us}), frame_no limit 1"
        unit = "frame"
        parts = select(lake, f"from segments {where} order by segment_no", key).to_pylist()
        if spot.t_us is not None:
            parts = [part for part in parts if part["start_us"] <= t_us < part["end_us"]]
    else:
        near = f"from pages {where} and page_no = {spot.page or 1}"
        unit = "page"
        parts = select(lake, f"from pages {where} order by page_no", key).to_pylist()
        if spot.page is not None:
            parts = [part for part in parts if part["page_no"] == spot.page]
    nearest = select(lake, near, key).to_pylist()
    if not nearest:
        message = f"{spot.name}: has no {unit} there; it has {media['frames'] or media['pages']}"
        raise InputError("unknown_media", message)
    picture = nearest[0]
    answers = f"select t_s, unit, unit_no, task, prompt, answer, model from answers {where}"
    if spot.t_us is not None or spot.page is not None:
        answers += f" and unit_no = {picture[f'{unit}_no']}"
    rows = select(lake, answers + " order by unit_no, task", key).to_pylist()
    return {"media": media, f"{unit}s_of": parts, "answers": rows, "picture": picture}


def picture_bytes(place: Place, picture: dict[str, Any]) -> bytes:
    """The encoded picture of a row of `frames` or `pages`."""
    shard = read_shard(place.objects, picture["shard"])
    return bytes(shard.rows.column("image")[picture["shard_row"]].as_py())


def find_medium(place: Place, name: str) -> dict[str, Any]:
    """The newest row of `media` by name, address, or the beginning of its id.

    Raises:
        InputError: `unknown_media`, if the name fits none or several.
    """
    with connect(place) as lake:
        return _find(lake, name)


def _find(lake: DuckDBPyConnection, name: str) -> dict[str, Any]:
    found = select(
        lake,
        "from media where name = $1 or uri = $1 or starts_with(media_id, $1)"
        " order by indexed_at desc",
        [name],
    ).to_pylist()
    if not found:
        message = f'{name}: the lake has no such medium; `reelpage query` "select name from media"'
        raise InputError("unknown_media", message)
    if len({row["media_id"] for row in found}) > 1:
        message = f"{name}: fits {len(found)} media; give the media_id"
        raise InputError("unknown_media", message)
    first: dict[str, Any] = found[0]
    return first

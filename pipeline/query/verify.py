"""Verify: whether a lake is whole - every row once, no gap, every picture and file in its place."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

import duckdb

from pipeline.land.place import Place
from pipeline.land.store import is_forgotten
from pipeline.land.tables import check_version, is_written, open_table
from pipeline.query.sql import Lake
from pipeline.query.standing import Standing, key_of
from schemas.tables import KEYS, TABLES

_HARMLESS: Final = frozenset({"orphan_file", "orphan_marker", "orphan_shard", "unfinished"})
_OF_MEDIA: Final = ("media", "segments", "frames", "pages", "lines", "answers")
_RESTORE: Final = "restore the tables from a backup"
_AGAIN: Final = "run the same index command again, or wait for the stream's workers"
_UNITS: Final = {"segments": "segment_no", "frames": "frame_no"}


@dataclass(frozen=True)
class Problem:
    """One finding.

    Attributes:
        kind: duplicate, gap, unfinished, count, missing_shard, orphan_shard, missing_file,
            orphan_file, missing_marker or orphan_marker.
        table: name of the table, or "shards" or "markers".
        message: one line with the remedy.
    """

    kind: str
    table: str
    message: str

    @property
    def harmless(self) -> bool:
        """Whether no row is wrong: traces of an interrupted run."""
        return self.kind in _HARMLESS


def verify(place: Place) -> list[Problem]:
    """Check a lake, reading its tables and the names of its files.

    Raises:
        SetupError: `lake_missing`, `lake_newer` or `lake_corrupt`.
    """
    version = check_version(place)
    problems = [problem for table in TABLES for problem in _files(place, table)]
    if any(problem.kind == "missing_file" for problem in problems):
        return problems  # its rows cannot be read
    standing = Standing(place, version)  # before the rows are read: they land before their markers
    with Lake(place).connection() as lake:
        for table in TABLES:
            problems += _duplicates(lake, table)
        for table in _UNITS:
            problems += _unit_gaps(lake, table)
        problems += [*_page_gaps(lake), *_answer_gaps(lake, standing), *_strangers(lake)]
        problems += [*_unfinished(lake, standing), *_run_counts(lake), *_shards(lake, place)]
        problems += [*_missing_markers(lake, standing), *_stray_markers(lake, place, standing)]
    return list(dict.fromkeys(problems))


def _files(place: Place, table: str) -> Iterator[Problem]:
    if not is_written(place, table):
        return
    handle = open_table(place, table)
    known = {PurePosixPath(uri).name for uri in handle.file_uris()}
    replaced = handle.vacuum(0, dry_run=True, enforce_retention_duration=False)  # for old readers
    found = {name.removeprefix(f"{table}/") for name in place.objects.names(f"{table}/")}
    found = {name for name in found if ".parquet" in name and "/" not in name}
    address = place.table(table)
    for name in sorted(known - found):
        yield Problem("missing_file", table, f"{address}/{name}: is gone; restore it from a backup")
    for name in sorted(found - known - set(replaced)):
        message = f"{address}/{name}: belongs to no commit (a run was killed); it may be deleted"
        yield Problem("orphan_file", table, message)


def _duplicates(lake: duckdb.DuckDBPyConnection, table: str) -> Iterator[Problem]:
    keys = ", ".join(KEYS[table])
    sql = f"select {keys}, count(*) from {table} group by all having count(*) > 1 order by all"
    for *key, count in lake.execute(sql).fetchall():
        yield Problem("duplicate", table, f"{_named(KEYS[table], key)}: {count} rows instead of 1")


def _unit_gaps(lake: duckdb.DuckDBPyConnection, table: str) -> Iterator[Problem]:
    """Finished media with another number of units than `media` says, or segments beyond it.

    Numbers of frames may exceed their count: one that is shown for long leaves numbers out.
    """
    beyond = f"or top >= m.{table}" if table == "segments" else ""
    sql = f"""
        with have as (
            select media_id, sampling, count(distinct {_UNITS[table]}) n, max({_UNITS[table]}) top
            from {table} group by all)
        select media_id, sampling, m.{table}, coalesce(n, 0), top
        from media m left join have using (media_id, sampling)
        where coalesce(n, 0) <> coalesce(m.{table}, 0) {beyond} order by all"""
    for media_id, sampling, wanted, count, top in lake.execute(sql).fetchall():
        name = _named(("media_id", "sampling"), (media_id, sampling))
        message = f"{name}: {count} of {wanted} {table}, the last is number {top}"
        yield Problem("gap", table, message)


def _page_gaps(lake: duckdb.DuckDBPyConnection) -> Iterator[Problem]:
    """Pages 1..n of finished media that have neither a row nor a failure."""
    sql = """
        with wanted as (
            select media_id, sampling, unnest(range(1, pages + 1)) page_no
            from media where kind <> 'video'),
        failed as (select input_id media_id, unit_no page_no from failures where unit = 'page')
        select media_id, sampling, page_no from wanted
        anti join pages using (media_id, sampling, page_no)
        anti join failed using (media_id, page_no) order by all"""
    for row in lake.execute(sql).fetchall():
        name = _named(KEYS["pages"], row)
        yield Problem("gap", "pages", f"{name}: neither a row nor a failure")


def _answer_gaps(lake: duckdb.DuckDBPyConnection, standing: Standing) -> Iterator[Problem]:
    """Prompts that some units of a finished medium were not asked, and no failure says so.

    A segment in which no frame was kept is not asked.
    """
    sql = """
        with have as (
            select media_id, sampling, model_revision, prompt_id, unit, count(distinct unit_no) n
            from answers group by all),
        wanted as (
            select media_id, sampling, unit, count(*) units from (
                select media_id, sampling, 'frame' unit from frames union all
                select media_id, sampling, 'page' from pages union all
                select media_id, sampling, 'segment' from segments where frames > 0) group by all)
        select media_id, sampling, model_revision, prompt_id, unit, n, units
        from media semi join have using (media_id, sampling)
        join have using (media_id, sampling) join wanted using (media_id, sampling, unit)
        where n <> units order by all"""
    for media_id, sampling, revision, prompt, unit, count, units in lake.execute(sql).fetchall():
        name = _named(("media_id", "sampling", "prompt_id"), (media_id, sampling, prompt))
        message = f"{name}: {count} answers to {units} {unit}s"
        key = key_of(media_id, sampling)
        said = standing.said(key, f"{revision}-{prompt}")
        if said == "partial" or standing.is_pending(key):
            yield Problem("unfinished", "answers", f"{message}; {_AGAIN}")
        elif said != "failed":
            yield Problem("gap", "answers", message)


def _strangers(lake: duckdb.DuckDBPyConnection) -> Iterator[Problem]:
    """Answers about units of finished media that are in no table."""
    sql = """
        select media_id, sampling, unit, count(*) from answers
        semi join media using (media_id, sampling)
        anti join (
            select media_id, sampling, 'frame' unit, frame_no unit_no from frames union all
            select media_id, sampling, 'page', page_no from pages union all
            select media_id, sampling, 'segment', segment_no from segments
        ) using (media_id, sampling, unit, unit_no) group by all order by all"""
    for media_id, sampling, unit, count in lake.execute(sql).fetchall():
        name = _named(("media_id", "sampling"), (media_id, sampling))
        yield Problem("gap", f"{unit}s", f"{name}: {count} answers about a {unit} without a row")


def _unfinished(lake: duckdb.DuckDBPyConnection, standing: Standing) -> Iterator[Problem]:
    """Media with rows that neither finished nor failed."""
    for table in _OF_MEDIA[1:]:
        sql = f"""
            select media_id, sampling, count(*) from {table}
            anti join media using (media_id, sampling)
            anti join (select input_id media_id from failures) using (media_id)
            group by all order by all"""
        for media_id, sampling, count in lake.execute(sql).fetchall():
            name = _named(("media_id", "sampling"), (media_id, sampling))
            if standing.is_finished(key_of(media_id, sampling)):
                yield Problem("gap", "media", f"{name}: is finished by its markers; {_RESTORE}")
            else:
                message = f"{name}: {count} rows of a medium that is not finished; {_AGAIN}"
                yield Problem("unfinished", table, message)


def _missing_markers(lake: duckdb.DuckDBPyConnection, standing: Standing) -> Iterator[Problem]:
    """Finished media of which the next job would not know it."""
    sql = "select media_id, sampling from media order by all"
    for media_id, sampling in lake.execute(sql).fetchall():
        key = key_of(media_id, sampling)
        if standing.is_whole(key):
            continue
        name = _named(("media_id", "sampling"), (media_id, sampling))
        if standing.is_pending(key):
            yield Problem("unfinished", "markers", f"{name}: has no markers yet; {_AGAIN}")
        else:
            message = f"{name}: has lost its markers, and would land twice; restore them"
            yield Problem("missing_marker", "markers", message)


def _stray_markers(
    lake: duckdb.DuckDBPyConnection, place: Place, standing: Standing
) -> Iterator[Problem]:
    """Media that have markers and no rows at all."""
    tables = " union ".join(f"select media_id, sampling from {table}" for table in _OF_MEDIA)
    sql = f"{tables} union select input_id, sampling from failures where sampling is not null"
    known = {key_of(*row) for row in lake.execute(sql).fetchall()}
    for media_id, sampling in standing.begun():
        if (media_id, sampling) in known:
            continue
        name = f"markers/{media_id}/{sampling}/"
        if is_forgotten(place.objects, media_id):
            message = f"{name}: of a medium that is forgotten; forget it once more"
            yield Problem("orphan_marker", "markers", message)
        else:
            yield Problem("gap", "media", f"{name}: has no rows; {_RESTORE}, or delete it")


def _run_counts(lake: duckdb.DuckDBPyConnection) -> Iterator[Problem]:
    sql = """
        select run_id, inputs, indexed, skipped, failed from runs
        where inputs is distinct from indexed + skipped + failed order by all"""
    for run_id, inputs, *parts in lake.execute(sql).fetchall():
        named = _named(("indexed", "skipped", "failed"), parts)
        yield Problem("count", "runs", f"run_id={run_id}: {inputs} inputs, but {named}")


def _shards(lake: duckdb.DuckDBPyConnection, place: Place) -> Iterator[Problem]:
    sql = "select shard from frames union select shard from pages"
    known = {shard for (shard,) in lake.execute(sql).fetchall() if shard is not None}
    found = {name for name in place.objects.names("shards/") if ".arrow" in name}
    for name in sorted(known - found):
        message = f"{place.uri}/{name}: is gone, its pictures cannot be shown; restore it"
        yield Problem("missing_shard", "shards", message)
    for name in sorted(found - known):
        message = f"{place.uri}/{name}: no row names it (a run was killed or failed); {_AGAIN}"
        yield Problem("orphan_shard", "shards", message)


def _named(columns: tuple[str, ...], values: object) -> str:
    assert isinstance(values, (list, tuple))
    return " ".join(f"{column}={value}" for column, value in zip(columns, values, strict=True))

"""Check: what has to hold at the end of a run, of the tables and of the ledger's history."""

from collections import Counter
from collections.abc import Iterator

from pipeline.protocol import LEDGER
from pipeline.window import next_offset
from tests.simulation.world import Job, World, app_of

Work = dict[tuple[str, str], list[Job]]  # by medium and part


def check(world: World, submitted: list[tuple[int, Job]], broken: set[int]) -> list[str]:
    """What does not hold.

    Args:
        world: at the end of the run.
        submitted: jobs with their partitions.
        broken: partitions whose log has lost records: they may have stopped, and nothing of them
            may be there twice, but it may be missing.
    """
    work: Work = {}
    lossy = set()
    for partition, job in submitted:
        work.setdefault((job.media, job.part), []).append(job)
        if partition in broken:
            lossy.add((job.media, job.part))
    problems = [*world.problems, *_doubled(world), *_order(world)]
    problems += [
        f"partition {p} stopped: {why}" for p, why in world.stopped.items() if p not in broken
    ]
    problems += _offsets(world)
    for place, jobs in work.items():
        if place not in lossy:
            problems += _part(world, jobs)
    lossy_media = {media for media, _ in lossy}
    problems += _media(world, {k: v for k, v in work.items() if k[0] not in lossy_media})
    return problems


def _doubled(world: World) -> Iterator[str]:
    for name, table in world.tables.items():
        for row, count in Counter(table.rows).items():
            if count > 1:
                yield f"{name}: {row} is there {count} times"


def _order(world: World) -> Iterator[str]:
    for name, table in world.tables.items():
        for app, history in table.history.items():
            places = [position for _, position in history]
            if not app.endswith("#record") and places != sorted(set(places)):
                yield f"{name}: positions of {app} went back or stood still: {places}"


def _offsets(world: World) -> Iterator[str]:
    """Partitions that have not come to their end, and offsets committed too early."""
    for partition in range(len(world.logs)):
        if left := world.unfinished(partition):
            yield left
        committed = world.group.committed.get(partition, 0)
        position = world.tables[LEDGER].position(app_of(partition), world.tables[LEDGER].version)
        if committed > next_offset(position):
            yield f"partition {partition}: offset {committed} was committed before it landed"


def _part(world: World, jobs: list[Job]) -> Iterator[str]:
    """Every column of a part: all its rows, or one failure and the rows before it."""
    job = jobs[0]
    failures = [row for row in world.tables[LEDGER].rows if row[:2] == (job.media, job.part)]
    for column in sorted({column for job in jobs for column in job.columns}):
        failed = [row[2] for row in failures if column in row[3]]
        if len(failed) > 1:
            yield f"{job.key} {column}: {len(failed)} failures"
        if not failed and any(column in row[3] for row in failures):
            yield f"{job.key} {column}: lost"
        whole = failed[0] if failed else job.units
        wanted = [job.first + unit for unit in range(whole)]
        for table, rows in _of_column(world, job, column):
            if rows != wanted and not (not rows and _known_failure(failures, jobs, column)):
                yield f"{table}: {job.key} {column} has units {rows}, not {wanted}"


def _known_failure(failures: list[tuple[object, ...]], jobs: list[Job], column: str) -> bool:
    """Whether every job that asks for a column also asks for one that failed."""
    bad = {name for row in failures for name in row[3]}  # type: ignore[attr-defined]
    return all(bad & set(job.columns) for job in jobs if column in job.columns)


def _of_column(world: World, job: Job, column: str) -> Iterator[tuple[str, list[int]]]:
    units = range(job.first, job.first + job.units)
    tables = ("segments", "frames") if column == "structure" else ("answers",)
    for table in tables:
        yield (
            table,
            sorted(
                row[1]
                for row in world.tables[table].rows
                if row[0] == job.media and row[1] in units and (len(row) < 3 or row[2] == column)
            ),
        )


def _media(world: World, work: Work) -> Iterator[str]:
    for media in sorted({media for media, _ in work}):
        jobs = [jobs[0] for (name, _), jobs in work.items() if name == media]
        failed = any(row[0] == media and "structure" in row[3] for row in world.tables[LEDGER].rows)
        wanted = [] if failed else [(media, sum(job.units for job in jobs))]
        rows = [row for row in world.tables["media"].rows if row[0] == media]
        if rows != wanted:
            yield f"media: {media} has {rows}, not {wanted}"

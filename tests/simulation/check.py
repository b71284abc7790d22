"""Check: what has to hold at the end of a run, of the tables and of the ledger's history."""

from collections import Counter
from collections.abc import Iterator, Mapping

from pipeline.land.protocol import LEDGER, Marker
from pipeline.land.window import next_offset
from tests.simulation.results import letter_name, marker_name
from tests.simulation.world import Job, World, app_of

Work = dict[tuple[str, str], list[Job]]  # by medium and part
Ends = dict[str, Marker]  # by column


def check(world: World, submitted: list[tuple[int, Job]], broken: Mapping[int, int]) -> list[str]:
    """What does not hold.

    Args:
        world: at the end of the run.
        submitted: jobs with their partitions.
        broken: partitions whose log has lost records, with its end then, or -1 where that stayed:
            they may have stopped, and nothing of them may be there twice, but it may be missing.
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
    problems += _offsets(world, broken)
    ends: dict[tuple[str, str], Ends] = {}
    for place, jobs in work.items():
        if place not in lossy:
            ends[place], strange = _replay(world, jobs)
            problems += [*strange, *_part(world, jobs[0], ends[place])]
    for media in {media for media, _ in work} - {media for media, _ in lossy}:
        problems += _media(world, media, [end for place, end in ends.items() if place[0] == media])
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


def _offsets(world: World, broken: Mapping[int, int]) -> Iterator[str]:
    """Partitions that have not come to their end, and offsets committed too early.

    That a log was cut may go unnoticed until its next record: who waits for one may have read the
    position before a paused worker landed what it still had of the old log.
    """
    for partition, log in enumerate(world.logs):
        if (left := world.unfinished(partition)) and broken.get(partition) != log.end:
            yield left
        committed = world.group.committed.get(partition, 0)
        position = world.tables[LEDGER].position(app_of(partition), world.tables[LEDGER].version)
        if committed > next_offset(position):
            yield f"partition {partition}: offset {committed} was committed before it landed"


def _replay(world: World, jobs: list[Job]) -> tuple[Ends, list[str]]:
    """What jobs come to that run one after the other, where the ledger says which ones failed."""
    failures = {
        (attempt, columns): unit
        for media, part, unit, columns, attempt in world.tables[LEDGER].rows
        if (media, part) == (jobs[0].media, jobs[0].part)
    }
    ends: Ends = {}
    for job in jobs:
        known = [ends.get(column) for column in job.columns]
        if any(end and end.outcome == "failed" and end.attempt >= job.attempt for end in known):
            continue  # a known failure
        columns = [c for c in job.columns if c not in ends or ends[c].outcome == "failed"]
        failed = failures.pop((job.attempt, tuple(columns)), None)
        for column in columns:
            name, held = marker_name(job.key, column), ends[column].units if column in ends else 0
            if failed is None:
                ends[column] = Marker(name, "indexed", job.units)
            else:
                ends[column] = Marker(name, "failed", max(held, failed), attempt=job.attempt)
    return ends, [f"{jobs[0].key}: no job can have failed as {place}" for place in failures]


def _part(world: World, job: Job, ends: Ends) -> Iterator[str]:
    """Every column of a part: all its rows, or those before the failure; its marker, its letter."""
    for column, end in ends.items():
        wanted = [job.first + unit for unit in range(end.units)]
        for table, rows in _of_column(world, job, column):
            if rows != wanted:
                yield f"{table}: {job.key} {column} has units {rows}, not {wanted}"
        marker = world.objects.get(end.name)
        if marker is None or (marker.outcome, marker.units) != (end.outcome, end.units):
            yield f"{job.key} {column}: the marker is {marker}, not {end}"
        if end.outcome == "failed" and letter_name(job.key, end.attempt) not in world.objects:
            yield f"{job.key} {column}: no letter of attempt {end.attempt}"


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


def _media(world: World, media: str, parts: list[Ends]) -> Iterator[str]:
    """The row of a medium, if all its parts are indexed."""
    ends = [part["structure"] for part in parts]
    whole = all(end.outcome == "indexed" for end in ends)
    wanted = [(media, sum(end.units for end in ends))] if whole else []
    rows = [row for row in world.tables["media"].rows if row[0] == media]
    if rows != wanted:
        yield f"media: {media} has {rows}, not {wanted}"

"""Check: what has to hold at the end of a run, of tables, markers, letters and shards."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from pipeline.land.protocol import LEDGER, STRUCTURE, Marker
from pipeline.land.records import markers_of
from pipeline.land.window import next_offset
from pipeline.recognise import revision as recognised_by
from schemas.jobs import TEXT, Job, PartRange
from schemas.shards import Shard
from schemas.tables import KEYS
from services.ingest.columns import WHOLE
from services.ingest.keys import fan_out, identity
from services.ingest.letters import letter_name, letter_of
from tests.simulation.media import PART_US, Medium, Poison
from tests.simulation.world import Row, World, app_of

if TYPE_CHECKING:
    from tests.simulation.scenario import Scenario


def check(scenario: "Scenario") -> list[str]:
    """What does not hold.

    Of media with a job in a partition whose log has lost records, nothing may be there twice, but
    it may be missing.
    """
    world, library = scenario.world, scenario.library
    lossy = {job.media.uri for number, job in world.sent if number in scenario.broken}
    problems = [*world.problems, *_doubled(world), *_order(world), *_partitions(scenario)]
    lake = Lake(world)
    whole = [medium for uri, medium in library.media.items() if uri not in lossy]
    for medium in whole:
        for media_id in medium.ids:
            problems += Standing(lake, medium, media_id).problems()
        problems += _failures(lake, medium, scenario.faults)
    bad = [record for record in world.nonsense if record.partition not in scenario.broken]
    problems += [f"{one.mark}: no failure" for one in bad if not lake.rows(LEDGER, one.mark)]
    for job in [*(job for _, job in world.sent), *scenario.ended]:
        if job.media.uri not in lossy:
            problems += _demand(lake, library.media[job.media.uri], job)
    return problems


def _doubled(world: World) -> Iterator[str]:
    for name, table in world.tables.items():
        keys = Counter(tuple(row.get(column) for column in KEYS[name]) for row in table.rows)
        yield from (f"{name}: {key} is there {n} times" for key, n in keys.items() if n > 1)


def _order(world: World) -> Iterator[str]:
    for name, table in world.tables.items():
        for app, history in table.history.items():
            places = [position for _, position in history]
            if not app.endswith("#record") and places != sorted(set(places)):
                yield f"{name}: positions of {app} went back or stood still: {places}"


def _partitions(scenario: "Scenario") -> Iterator[str]:
    """Partitions that have stopped or not come to their end, and offsets committed too early."""
    world, broken = scenario.world, scenario.broken
    if not scenario.is_over:
        yield "the run did not come to its end"
    for partition in range(len(world.logs)):
        if partition in world.stopped and partition not in broken:
            yield f"partition {partition} stopped: {world.stopped[partition]}"
        if left := scenario.left(partition):
            yield left
        committed = world.group.committed.get(partition, 0)
        position = world.tables[LEDGER].position(app_of(partition), world.tables[LEDGER].version)
        if committed > next_offset(position) and partition not in broken:
            yield f"partition {partition}: offset {committed} was committed before it landed"


class Lake:
    """Rows and markers by medium."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._rows: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for name, table in world.tables.items():
            for row in table.rows:
                self._rows[name, row["input_id" if name == LEDGER else "media_id"]].append(row)

    def rows(self, table: str, media_id: str) -> list[Row]:
        return self._rows.get((table, media_id), [])

    def markers(self, media_id: str) -> dict[str, dict[str, Marker]]:
        """Of each span, by column."""
        names = self.world.store.names(f"markers/{media_id}/")
        return {_span(name): markers_of(name, self.world.store.get(name)) for name in names}

    def shard(self, name: str) -> Shard | None:
        data = self.world.store.get(name)
        return None if data is None else Shard.from_ipc(data)


def _span(name: str) -> str:
    return name.rpartition("/")[2].removesuffix(".json")


def _start(span: str) -> int:
    return 0 if span == "whole" else int(span.partition("-")[0])


def _stop(span: str) -> int:
    return int(span.partition("-")[2] or WHOLE.stop)


@dataclass
class Standing:
    """What is there of one medium, by its rows and by its markers."""

    lake: Lake
    medium: Medium
    media_id: str

    def problems(self) -> list[str]:
        found = [*self._markers(), *self._structure(), *self._answers(), *self._media()]
        found += [*self._lines(), *self._pages(), *self._shards()]
        return [f"{self.medium.name} {self.media_id[:6]}: {line}" for line in found]

    @cached_property
    def spans(self) -> dict[str, dict[str, Marker]]:
        found = self.lake.markers(self.media_id)
        self.pages = found.pop("pages", {})
        return found

    @cached_property
    def units(self) -> list[int]:
        """Pictures that have a row."""
        table, column = ("frames", "frame_no") if self._is_video else ("pages", "page_no")
        return [row[column] for row in self.lake.rows(table, self.media_id)]

    @property
    def mended(self) -> set[int]:
        """Pages that landed by jobs of their own."""
        _ = self.spans
        return {int(page) for page, one in self.pages.items() if one.outcome == "indexed"}

    @property
    def _is_video(self) -> bool:
        return self.medium.kind == "video"

    def _covered(self, span: str, parts: int) -> list[int]:
        """Those of a medium's parts that are the first of a span."""
        start, stop = _start(span), min(_start(span) + parts, _stop(span))
        return [part for part in self.medium.pictures if start <= part < stop]

    def _pictures(self, parts: Iterable[int]) -> list[int]:
        return [number for part in parts for number in self.medium.pictures[part]]

    def _parts(self, column: str) -> list[int]:
        """Parts that a column has, by its markers."""
        ends = {span: columns.get(column) for span, columns in self.spans.items()}
        return [
            part for span, one in ends.items() if one for part in self._covered(span, one.parts)
        ]

    def _markers(self) -> Iterator[str]:
        for span, columns in self.spans.items():
            for column, marker in columns.items():
                left = set(self._covered(span, WHOLE.stop)) - set(self._covered(span, marker.parts))
                if marker.outcome == "indexed" and left:
                    yield f"{span} {column} is indexed without parts {left}"
                if marker.outcome == "failed" and not self._has_failed(span, marker.attempt):
                    yield f"{span} {column} has failed as {marker.attempt}, and no row says so"
                if marker.outcome == "partial" and not self._may_be_left(span, marker):
                    yield f"{span} {column} stands at {marker.parts}"
            yield from self._facts(span, columns.get(STRUCTURE))

    def _may_be_left(self, span: str, marker: Marker) -> bool:
        """Whether its jobs have ended: with a failure, a run that was left, or another model."""
        world = self.lake.world
        kept = marker.column in (STRUCTURE, _TEXT)
        changed = not kept and marker.column[:3] != f"r{world.revision}-"
        place = ("media", 0) if span == "whole" else ("range", _start(span))
        rows = [row for one in self.medium.ids for row in self.lake.rows(LEDGER, one)]
        failed = [r["attempt"] for r in rows if (r["unit"], r["unit_no"]) == place]
        return changed or world.counts["left"] > 0 or max(failed, default=-1) >= marker.attempt

    def _facts(self, span: str, structure: Marker | None) -> Iterator[str]:
        if structure is not None:
            wanted = self._pictures(self._covered(span, structure.parts))
            there = [one for one in wanted if one in self.units and one not in self.mended]
            if structure.facts.get("pictures") != len(there):
                yield f"{span}: pictures {structure.facts.get('pictures')}, not {len(there)}"

    def _has_failed(self, span: str, attempt: int) -> bool:
        place = ("media", 0) if span == "whole" else ("range", _start(span))
        rows = self.lake.rows(LEDGER, self.media_id)
        return any((r["unit"], r["unit_no"], r["attempt"]) == (*place, attempt) for r in rows)

    def _structure(self) -> Iterator[str]:
        parts = self._parts(STRUCTURE)
        wanted = self._pictures(parts)
        if self._is_video:
            segments = [row["segment_no"] for row in self.lake.rows("segments", self.media_id)]
            yield from _compare("segments", segments, parts)
            yield from _compare("frames", self.units, wanted)
        else:
            failed = {page for page in wanted if self._page_failures(page)}
            there = [page for page in wanted if page in self.units or page not in failed]
            yield from _compare("pages", self.units, there)

    def _page_failures(self, page: int) -> list[Row]:
        rows = self.lake.rows(LEDGER, self.media_id)
        return [row for row in rows if (row["unit"], row["unit_no"]) == ("page", page)]

    def _pages(self) -> Iterator[str]:
        for page in self.mended - set(self.units):
            yield f"page {page} is mended and has no row"

    def _answers(self) -> Iterator[str]:
        rows = self.lake.rows("answers", self.media_id)
        asked = {f"{row['model_revision']}-{row['prompt_id']}" for row in rows}
        known = {column for columns in self.spans.values() for column in columns}
        for column in (asked | known) - {STRUCTURE, _TEXT}:
            there = [r["unit_no"] for r in rows if column == _column(r)]
            wanted = [one for one in self._pictures(self._parts(column)) if one in self.units]
            late = self.mended if self.lake.world.revision > 1 else set()
            wanted = [one for one in wanted if one in there or one not in late]
            yield from _compare(f"answers {column}", there, wanted)

    def _lines(self) -> Iterator[str]:
        """A line of each segment, of its subtitle, or of each page, of its own text."""
        there = [row["unit_no"] for row in self.lake.rows("lines", self.media_id)]
        parts = self._parts(_TEXT)
        wanted = [one for one in self._pictures(parts) if one in self.units]
        asked = any(_TEXT in columns for columns in self.spans.values())
        if asked or there:
            yield from _compare("lines", there, parts if self._is_video else wanted)

    def _media(self) -> Iterator[str]:
        rows = self.lake.rows("media", self.media_id)
        spans = [self.spans.get(span, {}).get(STRUCTURE) for span in self._all_spans]
        is_whole = all(one is not None and one.outcome == "indexed" for one in spans)
        if len(rows) != is_whole:
            yield f"{len(rows)} rows of media, markers {spans}"
        for row in rows:
            pictures = len(set(self.units) - self.mended)
            wanted = (len(self.medium.pictures), pictures, 0)
            if not self._is_video:
                wanted = (0, 0, self.medium.info.pages - pictures)
            if (row["segments"], row["frames"], row["failed_pages"]) != wanted:
                yield f"media {row['segments'], row['frames'], row['failed_pages']}, not {wanted}"

    @property
    def _all_spans(self) -> list[str]:
        return [name_of(span) for span in spans_of(self.medium)]

    def _shards(self) -> Iterator[str]:
        for table, column in (("frames", "frame_no"), ("pages", "page_no")):
            for row in self.lake.rows(table, self.media_id):
                shard = self.lake.shard(row["shard"])
                held = [] if shard is None else shard.rows.column(column).to_pylist()
                if held[row["shard_row"] : row["shard_row"] + 1] != [row[column]]:
                    yield f"{table} {row[column]}: not row {row['shard_row']} of a shard of {held}"


_TEXT: Final = f"{recognised_by()}-{TEXT.prompt_id}"


def _column(row: Row) -> str:
    return f"{row['model_revision']}-{row['prompt_id']}"


def _compare(what: str, there: list[int], wanted: list[int]) -> Iterator[str]:
    if sorted(there) != sorted(wanted):
        yield f"{what}: {sorted(there)}, not {sorted(wanted)}"


def spans_of(medium: Medium) -> list[PartRange]:
    """All spans that a medium is worked on in."""
    jobs = fan_out(medium.job(()), medium.media_id, medium.info, PART_US)
    return [job.range for _, job in jobs if job.range is not None] or [WHOLE]


def name_of(span: PartRange) -> str:
    return "whole" if span == WHOLE else f"{span.start}-{span.stop}"


_CAUSES: Final[Mapping[str, frozenset[Poison]]] = {
    "not_found": frozenset({"source"}),
    "fetch_failed": frozenset({"unreachable", "away"}),
    "corrupt": frozenset({"decode"}),
    "features_invalid": frozenset({"ask"}),
    "internal": frozenset({"fault"}),
}
_PASSING: Final[Mapping[str, tuple[str, ...]]] = {
    "fetch_failed": ("work",),
    "graph_failed": ("work",),
    "graph_busy": ("error",),
    "store_failed": ("error", "lost"),
}


def _is_explained(row: Row, medium: Medium, faults: Mapping[str, int]) -> bool:
    """Whether something was wrong that ends in such a failure."""
    code, page = row["code"], row["unit_no"] if row["unit"] == "page" else 0
    passing = any(faults.get(kind) for kind in _PASSING.get(code, ()))
    return passing or medium.poison in _CAUSES.get(code, ()) or page in medium.bad


def _failures(lake: Lake, medium: Medium, faults: Mapping[str, int]) -> Iterator[str]:
    """Every failure has a cause, and a letter of its own, which says how to try it again."""
    names: Counter[str] = Counter()
    for row in [row for media_id in medium.ids for row in lake.rows(LEDGER, media_id)]:
        page = row["unit_no"] if row["unit"] == "page" else 0
        first = row["unit_no"] if row["unit"] == "range" else None
        what = f"failure of {row['uri']} {row['unit']} {row['unit_no']} as {row['attempt']}"
        names[letter_name(row["input_id"], row["recipe"], row["attempt"], page, first)] += 1
        if not _is_explained(row, medium, faults):
            yield f"{what}: nothing explains {row['code']}"
        letter = letter_of(lake.world.store, row)
        if letter is None:
            yield f"{what}: no letter"
        elif (letter.job.attempt, *letter.job.pages) != (row["attempt"], *([page] if page else [])):
            yield f"{what}: the letter is {letter.job}"
    yield from (f"{name} is the letter of {n} failures" for name, n in names.items() if n > 1)
    found = {one for media_id in medium.ids for one in lake.world.store.names(f"dead/{media_id}/")}
    yield from (f"{name} is the letter of no failure" for name in sorted(found - set(names)))


def _demand(lake: Lake, medium: Medium, job: Job) -> Iterator[str]:
    """What a job asked for is there, or has failed in a way that it does not go on from."""
    failures = [row for one in medium.ids for row in lake.rows(LEDGER, one)]
    known = {(row["unit"], row["unit_no"]) for row in failures if row["attempt"] >= job.attempt}
    media_id = identity(job, medium.content_id)
    if job.pages:
        there = {("page", row["page_no"]) for row in lake.rows("pages", media_id)}
        for place in {("page", page) for page in job.pages} - there - known:
            yield f"{medium.name} {place} as {job.attempt}: neither there nor a failure"
        return
    markers = lake.markers(media_id)
    for span in [job.range] if job.range else spans_of(medium):
        held = markers.get(name_of(span), {})
        done = {name for name, one in held.items() if one.outcome == "indexed"}
        prompts = {name.partition("-")[2] for name in done}
        left = [task.name for task in job.tasks if task.prompt_id not in prompts]
        has_failed = known & {("media", 0), ("range", span.start)}
        if (left or STRUCTURE not in done) and not has_failed:
            what = f"{medium.name} {name_of(span)} as {job.attempt}"
            yield f"{what}: structure or {left} of job {job.id} is missing"

"""Local: all stages in one process, over files; the same command again does only what is missing.

A thread feeds decoded parts, bounded by bytes; the caller's thread runs the model and lands. Rows
land part by part under application ids made of content and recipe, so that a kill at any moment
costs work but neither loses nor doubles a row.
"""

import resource
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pipeline.consume import Input, open_input
from pipeline.decode import decode, pixels
from pipeline.land import Lake, Landing
from pipeline.rows import (
    Answer,
    Medium,
    Row,
    answer_rows,
    failure_row,
    frame_rows,
    media_row,
    page_rows,
    segment_rows,
    tasks_json,
    to_table,
)
from pipeline.store import ShardStore
from schemas import __version__
from schemas.errors import InputError, ReelpageError, TransientError
from schemas.jobs import Task
from schemas.shards import MediaInfo, Shard, UnitFailure
from services.prefetch import Prefetch
from services.progress import Progress
from services.reader import Reader
from services.recipe import Recipe

_AHEAD_BYTES: Final = 64 << 20
_LAND_EVERY_S: Final = 2.0
_LAND_ROWS: Final = 2000
_ORDER: Final = ("segments", "frames", "pages", "answers", "failures", "media")
"""`media` last: its row says that everything else of the medium has landed."""


@dataclass
class Summary:
    """How a run ended. `inputs == indexed + skipped + failed`, or the run is broken."""

    run_id: str
    inputs: int = 0
    indexed: int = 0
    skipped: int = 0
    failed: int = 0
    failed_pages: int = 0
    visual_tokens: int = 0
    output_tokens: int = 0
    errors: list[tuple[str, str]] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 if all is well, 1 if an input or a page failed."""
        return 1 if self.failed or self.failed_pages else 0

    def check(self) -> None:
        """Enforce the invariant.

        Raises:
            RuntimeError: an input was lost; a bug of reelpage.
        """
        if self.inputs != self.indexed + self.skipped + self.failed:
            message = f"inputs = indexed + skipped + failed does not hold: {self}"
            raise RuntimeError(message)


@dataclass
class _Work:
    """One medium on its way."""

    source: Input
    medium: Medium
    store: ShardStore
    missing: tuple[Task, ...]
    first_part: int
    structure_done: bool
    info: MediaInfo | None = None
    parts: int = 0
    pictures: int = 0


@dataclass(frozen=True)
class _Part:
    shard: Shard
    is_last: bool


@dataclass(frozen=True)
class _Failed:
    error: ReelpageError
    stage: str


_Event = tuple[Input, _Work | None, MediaInfo | _Part | UnitFailure | _Failed | str]
"""An input, its work, and what happened: "skipped", "known failure" and "end" are words."""


class LocalRun:
    """One run over files."""

    def __init__(
        self,
        lake: Lake,
        recipe: Recipe,
        reader: Reader,
        progress: Progress,
        run_id: str,
        *,
        retry_failed: bool = False,
    ) -> None:
        self._lake, self._recipe, self._reader = lake, recipe, reader
        self._progress, self._run_id, self._retry = progress, run_id, retry_failed
        self._lake_lock = threading.Lock()
        self._waiting: dict[str, list[Landing]] = {}
        self._landed_at = time.monotonic()
        self.summary = Summary(run_id)

    def run(self, files: Sequence[Path | Input]) -> Summary:
        """Index the files.

        Raises:
            SetupError: the lake cannot be written on; what has landed stays.
        """
        self.summary.inputs = self._progress.total_inputs = len(files)
        events = Prefetch(self._events(files), _event_bytes, _AHEAD_BYTES)
        try:
            for source, work, event in events:
                self._progress.generate.queue = len(events)
                self._handle(source, work, event)
            self._flush()
        finally:
            events.close()
        self.summary.check()
        return self.summary

    # The thread that feeds

    def _events(self, files: Sequence[Path | Input]) -> Generator[_Event, None, None]:
        seen: set[str] = set()
        for file in files:
            source = file if isinstance(file, Input) else open_input(file)
            self._progress.current = source.name
            try:
                if source.error is None and source.input_id in seen:
                    yield source, None, "skipped"
                    continue
                seen.add(source.input_id)
                yield from self._of_input(source)
            finally:
                source.discard()

    def _of_input(self, source: Input) -> Iterator[_Event]:
        if source.error is not None:
            yield source, None, _Failed(source.error, "consume")
            return
        work = self._work(source)
        if work is None:
            yield source, None, "skipped"
            return
        app = self._recipe.failure_app(source.input_id, 0)
        if not self._retry and self._position("failures", app) is not None:
            yield source, work, "known failure"
            return
        held: Shard | None = None
        try:
            for item in self._decoded(work):
                if isinstance(item, Shard):
                    if held is not None:
                        yield source, work, _Part(held, is_last=False)
                    held = item
                else:
                    yield source, work, item
        except InputError as error:
            if held is not None:
                yield source, work, _Part(held, is_last=False)
            yield source, work, _Failed(error, "decode")
            return
        if held is not None:
            yield source, work, _Part(held, is_last=True)
        yield source, work, "end"

    def _work(self, source: Input) -> _Work | None:
        """What is left to do for a medium, or None if nothing is."""
        recipe = self._recipe
        structure = recipe.structure_app(source.input_id)
        with self._lake_lock:
            done = self._lake.finished("media", structure)
            apps = {task: recipe.answers_app(source.input_id, task) for task in recipe.tasks}
            missing = tuple(
                task for task, app in apps.items() if not self._lake.finished("answers", app)
            )
            if done and not missing:
                return None
            positions = [self._lake.position("answers", apps[task]) for task in missing]
            if not done:
                tables = (("segments", "frames"), ("pages",))
                known = [
                    [self._lake.position(table, structure) for table in kind] for kind in tables
                ]
                # A medium is a video or a document: one of the two kinds has no position at all.
                positions += next((k for k in known if any(p is not None for p in k)), [None])
        first = min((-1 if position is None else position) + 1 for position in positions)
        medium = Medium(source.input_id, recipe.sampling, source.uri, self._run_id)
        store = ShardStore(self._lake.root, source.input_id, recipe.sampling_id)
        return _Work(source, medium, store, missing, first, done)

    def _decoded(self, work: _Work) -> Iterator[MediaInfo | Shard | UnitFailure]:
        """Parts of a medium from the lake's own shards where they are whole, else decoded."""
        info = work.store.read_info() if work.structure_done else None
        if info is not None and work.store.count() > work.first_part:
            yield info
            yield from work.store.read_from(work.first_part)
            return
        plan = self._recipe.plan_from(work.first_part)
        for item in decode(work.source.path, plan):
            if isinstance(item, Shard):
                self._progress.decode.done += item.rows.num_rows
            yield item

    def _position(self, table: str, app: str) -> int | None:
        with self._lake_lock:
            return self._lake.position(table, app)

    # The thread that runs the model and lands

    def _handle(
        self,
        source: Input,
        work: _Work | None,
        event: MediaInfo | _Part | UnitFailure | _Failed | str,
    ) -> None:
        if isinstance(event, str):
            self._ended(source, work, event)
        elif isinstance(event, _Failed):
            self._fail(source, event.error, event.stage)
            self._count(source, "failed")
        elif work is None:
            return
        elif isinstance(event, MediaInfo):
            self._begin(work, event)
        elif isinstance(event, UnitFailure):
            error = InputError(event.code, f"{source.name!r}: {event.message}")
            self._fail(source, error, "decode", event.page_no)
            self.summary.failed_pages += 1
        else:
            self._part(work, event)

    def _begin(self, work: _Work, info: MediaInfo) -> None:
        work.info, work.parts = info, work.first_part
        work.pictures = work.store.pictures_before(work.first_part)
        if not work.structure_done:
            work.store.write_info(info)

    def _part(self, work: _Work, part: _Part) -> None:
        """Answer all tasks for one part and queue its rows for landing."""
        info, shard = work.info, part.shard
        assert info is not None
        app = self._recipe.structure_app(work.medium.media_id)
        name = work.store.name(shard.part)
        if not work.structure_done:
            work.store.write(shard)
            if info.kind == "video":
                self._queue("segments", app, part, segment_rows(work.medium, shard))
                self._queue("frames", app, part, frame_rows(work.medium, shard, name))
            else:
                self._queue("pages", app, part, page_rows(work.medium, shard, name))
        if work.missing:
            model = (self._recipe.model, self._recipe.revision)
            rows = answer_rows(
                work.medium, info.kind, shard, self._answers(shard, work.missing), model
            )
            for task in work.missing:
                mine = [row for row in rows if row["prompt_id"] == task.prompt_id]
                answers_app = self._recipe.answers_app(work.medium.media_id, task)
                self._queue("answers", answers_app, part, mine)
        work.parts, work.pictures = shard.part + 1, work.pictures + shard.rows.num_rows
        self._progress.advance(work.source.size, _share(info, shard))
        self._flush_if_due()

    def _answers(self, shard: Shard, tasks: Sequence[Task]) -> list[list[Answer]]:
        """Answers for each picture; blank ones never reach the model, which would invent text."""
        blank = shard.rows.column("is_blank").to_pylist()
        images = shard.rows.column("image").to_pylist()
        shown = [pixels(image) for image, empty in zip(images, blank, strict=True) if not empty]
        self._progress.encode.in_flight = len(shown)
        given = iter(self._reader.read(shown, tasks) if shown else [])
        self._progress.encode.in_flight = 0
        answers = [
            [Answer(task, "", "blank") for task in tasks] if empty else next(given)
            for empty in blank
        ]
        flat = [answer for row in answers for answer in row]
        visual = sum(row[0].visual_tokens for row in answers if row)
        output = sum(answer.output_tokens for answer in flat)
        self.summary.visual_tokens += visual
        self.summary.output_tokens += output
        self._progress.encode.done += visual
        self._progress.generate.done += len(flat)
        return answers

    def _ended(self, source: Input, work: _Work | None, word: str) -> None:
        if word == "skipped":
            self._count(source, "skipped")
        elif word == "known failure":
            self.summary.errors.append(
                ("known_failure", f"{source.name!r}: failed before; try again with reelpage retry")
            )
            self._count(source, "failed")
        elif work is not None and work.info is not None:
            if not work.structure_done:
                row = media_row(
                    work.medium, work.info, source.name, source.size, work.parts, work.pictures
                )
                app = self._recipe.structure_app(work.medium.media_id)
                self._put("media", Landing(app, 0, to_table("media", [row]), final=True), 1)
            self._count(source, "indexed")

    def _fail(self, source: Input, error: ReelpageError, stage: str, page_no: int = 0) -> None:
        self.summary.errors.append((error.code, error.message))
        if isinstance(error, TransientError):
            stage = "consume"
        app = self._recipe.failure_app(source.input_id, page_no)
        position = self._position("failures", app)
        if position is not None and not self._retry:
            return  # recorded by an earlier run
        attempt = 0 if position is None else position + 1
        row = failure_row(
            input_id=source.input_id,
            uri=source.uri,
            recipe=self._recipe.id,
            stage=stage,
            error=error,
            run_id=self._run_id,
            attempt=attempt,
            page_no=page_no,
            size=source.size,
        )
        self._put("failures", Landing(app, attempt, to_table("failures", [row])), 1)

    def _count(self, source: Input, outcome: str) -> None:
        setattr(self.summary, outcome, getattr(self.summary, outcome) + 1)
        self._progress.consume.done += 1
        self._progress.finish(source.size)

    def _queue(self, table: str, app: str, part: _Part, rows: list[Row]) -> None:
        landing = Landing(app, part.shard.part, to_table(table, rows), part.is_last)
        self._put(table, landing, len(rows))

    def _put(self, table: str, landing: Landing, rows: int) -> None:
        self._waiting.setdefault(table, []).append(landing)
        self._progress.land.queue += rows

    def _flush_if_due(self) -> None:
        due = time.monotonic() - self._landed_at > _LAND_EVERY_S
        if due or self._progress.land.queue >= _LAND_ROWS:
            self._flush()

    def _flush(self) -> None:
        """Land what waits, table by table in the order that keeps `media` the last word."""
        for table in _ORDER:
            if landings := self._waiting.pop(table, None):
                with self._lake_lock:
                    self._progress.land.done += self._lake.land(table, landings)
        self._progress.land.queue = 0
        self._landed_at = time.monotonic()


def land_run(lake: Lake, recipe: Recipe, summary: Summary, started: datetime, command: str) -> None:
    """Write the run's own row."""
    peak = max(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    row = {
        "run_id": summary.run_id,
        "started_at": started,
        "finished_at": datetime.now(UTC),
        "version": __version__,
        "command": command,
        "model": recipe.model,
        "model_revision": recipe.revision,
        "sampling": recipe.sampling,
        "tasks": tasks_json(recipe.tasks),
        "inputs": summary.inputs,
        "indexed": summary.indexed,
        "skipped": summary.skipped,
        "failed": summary.failed,
        "visual_tokens": summary.visual_tokens,
        "output_tokens": summary.output_tokens,
        "peak_rss_bytes": peak * 1024,
        "exit_code": summary.exit_code,
    }
    landing = Landing(f"local/run/{summary.run_id}", 0, to_table("runs", [row]), final=True)
    lake.land("runs", [landing])


def _event_bytes(event: _Event) -> int:
    item = event[2]
    return int(item.shard.rows.nbytes) if isinstance(item, _Part) else 0


def _share(info: MediaInfo, shard: Shard) -> float:
    """Share of the medium that a part is, by its declared length."""
    whole = info.duration_us if info.kind == "video" else info.pages
    return min((shard.end - shard.start) / whole, 1.0) if whole else 0.0

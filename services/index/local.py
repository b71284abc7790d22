"""Local: all stages in one process, over files; the same command again does only what is missing.

A thread feeds decoded parts, bounded by bytes; the caller's thread runs the model and lands. Rows
land part by part under application ids made of content and recipe, so that a kill at any moment
costs work but neither loses nor doubles a row.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pipeline.consume import Input
from pipeline.decode import Limits
from pipeline.land.lake import Lake
from pipeline.land.rows import (
    answer_rows,
    frame_rows,
    media_row,
    page_rows,
    segment_rows,
)
from schemas.shards import MediaInfo, Shard, UnitFailure
from services.index.failures import Failures
from services.index.feed import Ended, Event, Failed, Feed, KnownFailure, Part, Skipped, Work
from services.index.outbox import Outbox
from services.index.prefetch import Prefetch
from services.index.progress import Progress
from services.index.summary import Outcome, Summary
from services.ingest.recipe import Recipe
from services.model.asking import Asker
from services.model.reader import Reader

_AHEAD_BYTES: Final = 8 << 20


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
        limits: Limits | None = None,
    ) -> None:
        self._recipe, self._progress = recipe, progress
        self._retry, self._limits = retry_failed, limits
        self.summary = Summary(run_id)
        self._outbox = Outbox(lake, progress.land, run_id)
        self._asker = Asker(reader.read, progress, self.summary)
        self._failures = Failures(self._outbox, recipe, self.summary, again=retry_failed)
        self._medium: _Medium | None = None

    def run(self, files: Sequence[Path | Input]) -> Summary:
        """Index the files.

        Raises:
            SetupError: the lake cannot be written on; what has landed stays.
        """
        self.summary.inputs = self._progress.total_inputs = len(files)
        feed = Feed(
            self._outbox,
            self._recipe,
            self._progress,
            retry_failed=self._retry,
            limits=self._limits,
        )
        events = Prefetch(feed.events(files), lambda event: event.size, _AHEAD_BYTES)
        try:
            for event in events:
                self._progress.generate.queue = len(events)
                self._handle(event)
            self._outbox.flush()
        finally:
            events.close()
        self.summary.check()
        return self.summary

    def _handle(self, event: Event) -> None:
        source = event.source
        match event.what:
            case MediaInfo() as info:
                assert event.work is not None
                self._medium = _Medium(event.work, info)
            case Part() as part:
                assert self._medium is not None
                self._part(self._medium, part)
            case UnitFailure() as failure:
                self._failures.page(source, failure)
            case Failed() as failed:
                self._failures.medium(source, failed.error, failed.stage)
                self._count(source, "failed")
            case KnownFailure():
                message = f"{source.name!r}: failed before; try again with reelpage retry"
                self.summary.errors.append(("known_failure", message))
                self._count(source, "failed")
            case Skipped():
                self._count(source, "skipped")
            case Ended():
                assert self._medium is not None
                self._end(self._medium)
                self._count(source, "indexed")

    def _part(self, medium: "_Medium", part: Part) -> None:
        """Answer all tasks for one part and queue its rows for landing."""
        work, shard = medium.work, part.shard
        if not work.structure_done:
            self._put_structure(medium, part)
        if work.missing:
            answers = self._asker.answers(shard, work.missing)
            model = (self._recipe.model, self._recipe.revision)
            rows = answer_rows(work.medium, medium.info.kind, shard, answers, model)
            for task in work.missing:
                mine = [row for row in rows if row["prompt_id"] == task.prompt_id]
                app = self._recipe.answers_app(work.medium.media_id, task)
                self._outbox.put("answers", app, shard.part, mine, final=part.is_last)
        medium.seen(shard)
        self._progress.advance(work.source.size, medium.share(shard))
        self._outbox.flush_if_due()

    def _put_structure(self, medium: "_Medium", part: Part) -> None:
        """Keep the shard, then queue the rows that name it."""
        work, shard = medium.work, part.shard
        name = work.store.write(shard)
        if medium.info.kind == "video":
            tables = {
                "segments": segment_rows(work.medium, shard),
                "frames": frame_rows(work.medium, shard, name),
            }
        else:
            tables = {"pages": page_rows(work.medium, shard, name)}
        app = self._recipe.structure_app(work.medium.media_id)
        for table, rows in tables.items():
            self._outbox.put(table, app, shard.part, rows, final=part.is_last)

    def _end(self, medium: "_Medium") -> None:
        """Queue the row that says that all else of the medium has landed."""
        work = medium.work
        if work.structure_done:
            return
        source, app = work.source, self._recipe.structure_app(work.medium.media_id)
        row = media_row(
            work.medium, medium.info, source.name, source.size, medium.parts, medium.pictures
        )
        self._outbox.put("media", app, 0, [row], final=True)

    def _count(self, source: Input, outcome: Outcome) -> None:
        self.summary.count(outcome)
        self._progress.consume.done += 1
        self._progress.finish(source.size)


class _Medium:
    """The medium whose parts are arriving."""

    def __init__(self, work: Work, info: MediaInfo) -> None:
        self.work, self.info = work, info
        self.parts = work.first_part
        self.pictures = work.store.pictures_before(work.first_part)
        if not work.structure_done:
            work.store.write_info(info)

    def seen(self, shard: Shard) -> None:
        """Count a part."""
        self.parts = shard.part + 1
        self.pictures += shard.rows.num_rows

    def share(self, shard: Shard) -> float:
        """Share of the medium that a part is, by its declared length."""
        video = self.info.kind == "video"
        whole = self.info.duration_us if video else self.info.pages
        return min((shard.end - shard.start) / whole, 1.0) if whole else 0.0

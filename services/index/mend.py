"""Mend: failed pages of finished documents, tried again."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.consume import Input, open_input
from pipeline.decode import Limits, decode
from pipeline.land.lake import Lake
from pipeline.land.rows import Medium, answer_rows, page_rows
from pipeline.land.store import ShardStore
from schemas.errors import InputError
from schemas.shards import MediaInfo, Shard, UnitFailure
from services.index.failures import Failures
from services.index.outbox import Outbox
from services.index.progress import Progress
from services.index.summary import Summary
from services.ingest.recipe import Recipe
from services.model.asking import Asker
from services.model.reader import Reader


class Mend:
    """One run over failed pages.

    The recipe has all tasks that the documents were asked, not only those of the run in which
    the pages failed: later questions left the pages out in silence.
    """

    def __init__(
        self,
        lake: Lake,
        recipe: Recipe,
        reader: Reader,
        progress: Progress,
        run_id: str,
        *,
        limits: Limits | None = None,
    ) -> None:
        self._recipe, self._progress, self._limits = recipe, progress, limits
        self.summary = Summary(run_id)
        self._outbox = Outbox(lake, progress.land, run_id)
        self._asker = Asker(reader.read, progress, self.summary)
        self._failures = Failures(self._outbox, recipe, self.summary, again=True)

    def run(self, pages: Mapping[Path, Collection[int]]) -> Summary:
        """Decode the pages of each file anew, by page number from 1.

        Raises:
            SetupError: the lake cannot be written on; what has landed stays.
        """
        self.summary.inputs = self._progress.total_inputs = len(pages)
        for path, numbers in pages.items():
            source = open_input(path)
            self._progress.current = source.name
            try:
                self._file(source, numbers)
                self.summary.count("indexed")
            except InputError as error:
                self.summary.errors.append((error.code, error.message))
                self.summary.count("failed")
            self._progress.consume.done += 1
            self._progress.finish(source.size)
        self._outbox.flush()
        self.summary.check()
        return self.summary

    def _file(self, source: Input, numbers: Collection[int]) -> None:
        """Decode the parts that the pages belong to.

        Raises:
            InputError: the file cannot be read any more, or is not the one that was indexed.
        """
        if isinstance(source.error, InputError):
            raise source.error
        recipe = self._recipe
        store = self._outbox.shards(source.input_id, recipe.sampling_id)
        info = store.read_info()
        if info is None:
            message = f"{source.name!r}: has changed since its pages failed; index it again"
            raise InputError("not_found", message)
        medium = Medium(source.input_id, recipe.sampling, source.uri, self.summary.run_id)
        for part in sorted({(number - 1) // recipe.plan.pages_per_part for number in numbers}):
            plan = replace(recipe.plan, first_part=part, stop_part=part + 1)
            for item in decode(source.path, plan, self._limits):
                if isinstance(item, Shard):
                    self._part(medium, info, store, _only(item, numbers))
                elif isinstance(item, UnitFailure) and item.page_no in numbers:
                    self._failures.page(source, item)

    def _part(self, medium: Medium, info: MediaInfo, store: ShardStore, pages: Shard) -> None:
        """Land pages one by one. A page's own row comes last: with it the failure is closed."""
        recipe, kept = self._recipe, store.extend(pages)
        rows = {row["page_no"]: row for row in page_rows(medium, kept, store.name(pages.part))}
        answers = answer_rows(
            medium,
            info.kind,
            pages,
            self._asker.answers(pages, recipe.tasks),
            (recipe.model, recipe.revision),
        )
        for number in pages.rows.column("page_no").to_pylist():
            for task in recipe.tasks:
                key = (number, task.prompt_id)
                mine = [row for row in answers if (row["unit_no"], row["prompt_id"]) == key]
                app = recipe.answers_app(medium.media_id, task)
                self._outbox.put("answers", f"{app}/page {number}", 0, mine)
            self._outbox.flush()
            app = recipe.structure_app(medium.media_id)
            self._outbox.put("pages", f"{app}/page {number}", 0, [rows[number]])
            self._outbox.flush()


def _only(shard: Shard, numbers: Collection[int]) -> Shard:
    wanted = pc.is_in(shard.rows.column("page_no"), pa.array(sorted(numbers), pa.int32()))
    return replace(shard, rows=shard.rows.filter(wanted))

"""Mending: pages that failed while the rest of their document did not, tried again."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.land.batch import Part
from pipeline.land.protocol import Marker
from pipeline.land.rows import Row
from schemas.errors import InputError, ReelpageError
from schemas.shards import MediaInfo, PageFailure, Shard
from services.ingest.asked import asked_rows
from services.ingest.failing import lost_pages, page_failures
from services.ingest.parts import structure_rows
from services.ingest.subject import Subject, Tools


class PageParts:
    """One job of pages; the parts that they belong to are decoded anew."""

    def __init__(self, subject: Subject, tools: Tools) -> None:
        self._subject, self._tools = subject, tools
        self._wanted = frozenset(int(column.name) for column in subject.columns.missing)
        self._each = subject.recipe.plan.pages_per_part

    def parts(self) -> Iterator[Part]:
        """A part for each part of the document that has wanted pages.

        Raises:
            TransientError: the next part cannot be made now.
        """
        mended = False
        try:
            for part in sorted({self._part_of(page) for page in self._wanted}):
                made = self._part(part)
                mended = mended or "pages" in made.rows
                yield made
                self._wanted = frozenset(p for p in self._wanted if self._part_of(p) > part)
        except InputError as error:
            yield self.failure(error)
            return
        yield Part(outcome="indexed" if mended else "failed")

    def failure(self, error: ReelpageError) -> Part:
        """The last part, which says that what `parts` has not given is lost."""
        return lost_pages(self._subject, error, self._wanted)

    def _part_of(self, page: int) -> int:
        return (page - 1) // self._each

    def _part(self, number: int) -> Part:
        subject = self._subject
        if number >= subject.columns.kept:
            message = f"{subject.source.name!r}: has changed since its pages failed; index it again"
            raise InputError("media_changed", message)
        plan = replace(subject.recipe.plan, first_part=number, stop_part=number + 1)
        rows: dict[str, list[Row]] = {}
        markers: list[Marker] = []
        failed: list[PageFailure] = []
        items = self._tools.decode(subject.source.path, plan)
        info = next(items)
        assert isinstance(info, MediaInfo)
        for item in items:
            if isinstance(item, Shard):
                pages = _only(item, self._wanted)
                rows |= self._rows(info, pages)
                markers += self._indexed(pages.rows.column("page_no").to_pylist())
            elif isinstance(item, PageFailure) and item.page_no in self._wanted:
                failed.append(item)
        there = {table: some for table, some in rows.items() if some}
        made = Part(there, markers=tuple(markers), pictures=len(markers))
        return made.plus(page_failures(subject, failed))

    def _rows(self, info: MediaInfo, pages: Shard) -> dict[str, list[Row]]:
        """Rows of pages that are there now, which go behind those of their shard."""
        subject = self._subject
        if not pages.rows.num_rows:
            return {}
        name, kept = subject.store.name(pages.part), subject.store.extend(pages)
        rows = structure_rows(subject, info, kept, name)
        if tasks := [task for task, parts in subject.columns.asked if pages.part < parts]:
            begun = self._tools.begin(asked_rows(subject, self._tools, info, kept, tasks))
            rows |= begun.result()[0]
        number = {"pages": "page_no"}
        return {
            table: [row for row in some if row[number.get(table, "unit_no")] in self._wanted]
            for table, some in rows.items()
        }

    def _indexed(self, pages: Iterable[int]) -> list[Marker]:
        name, attempt = self._subject.columns.name, self._subject.delivery.job.attempt
        return [Marker(name, str(page), "indexed", 1, attempt=attempt) for page in pages]


def _only(shard: Shard, numbers: Collection[int]) -> Shard:
    wanted = pc.is_in(shard.rows.column("page_no"), pa.array(sorted(numbers), pa.int32()))
    return replace(shard, rows=shard.rows.filter(wanted))

"""Parts: the one way of a medium from its bytes to rows, part by part.

A plain generator over plain data: bytes come from `Subject.source`, pictures go to shards and to
the model, rows come out. It knows no log, no threads and no table.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import asdict, astuple, dataclass, field, replace
from typing import Any

from pipeline.land.batch import Part, media_of
from pipeline.land.protocol import Range
from pipeline.land.rows import Row, frame_rows, page_rows, segment_rows
from pipeline.land.store import read_shard
from schemas.errors import InputError, ReelpageError
from schemas.jobs import TEXT
from schemas.shards import (
    Decoded,
    MediaInfo,
    MediaWarning,
    PageFailure,
    Shard,
    info_to_json,
)
from services.ingest.ahead import Asked, ahead
from services.ingest.asked import AskedRows, asked_rows
from services.ingest.begin import Begun
from services.ingest.columns import range_of
from services.ingest.failing import failure, page_failures
from services.ingest.keys import FanOut, fan_out
from services.ingest.subject import Subject, Tools


@dataclass
class Tally:
    """What has been seen of a medium, or of its range.

    Attributes:
        parts: number of the part behind the last one that was made.
        pictures: in the parts before it whose structure has landed or lands.
        stage: where the work is.
        info: the medium's facts.
        pages: failed ones behind the last part.
        warnings: in the order in which they came, each once.
        unread_cues: pictures of subtitles that could not be read.
    """

    parts: int
    pictures: int
    stage: str = "decode"
    info: MediaInfo | None = None
    pages: list[PageFailure] = field(default_factory=list)
    warnings: dict[MediaWarning, None] = field(default_factory=dict)
    unread_cues: int = 0

    def add_unread(self, cues: int, first: int) -> None:
        """Count pictures of subtitles that could not be read, in one warning of the work's own."""
        if cues:
            self.warnings.pop(_text_unread(self.unread_cues, first), None)
            self.unread_cues += cues
            self.warnings[_text_unread(self.unread_cues, first)] = None

    def facts(self) -> dict[str, Any]:
        """What the marker of structure says on the way."""
        return {
            "pictures": self.pictures,
            "warnings": [list(astuple(one)) for one in self.warnings],
        }


class JobParts:
    """One job with something left to do."""

    def __init__(
        self, subject: Subject, tools: Tools, has_read: Callable[[], None] = lambda: None
    ) -> None:
        """Nothing is read yet; `has_read` is called when all is."""
        self._subject, self._tools, self._has_read = subject, tools, has_read
        columns = subject.columns
        self._tally = Tally(
            columns.first, columns.pictures, warnings=dict.fromkeys(columns.warnings)
        )
        self._given = (columns.first, columns.pictures)  # as in the tally, of what was given

    def parts(self) -> Generator[Part | FanOut]:
        """Every part with its rows; the last one is final.

        A part is held back until it is known whether another one follows.

        Raises:
            TransientError: the next part cannot be made now.
        """
        tally = self._tally
        held: Part | None = None
        try:
            reading = ahead(self._items(), self._ask, self._tools.room, self._has_read)
            with closing(reading) as items:
                for item in items:
                    if isinstance(item, MediaInfo):
                        tally.info = item
                        if jobs := self._ranges(item):
                            yield FanOut(jobs)
                            return
                    elif isinstance(item, PageFailure):
                        self._note(item)
                    elif isinstance(item, MediaWarning):
                        tally.warnings[item] = None
                    else:
                        yield from self._give(held)
                        held = None  # given, whatever becomes of the next one
                        held = self._part(item)
        except InputError as error:
            yield from self._give(held)
            yield self.failure(error)
            return
        yield self._end(held or Part())

    def _give(self, held: Part | None) -> Iterator[Part]:
        if held is not None:
            behind = self._tally.parts, self._tally.pictures
            yield held
            self._given = behind  # whoever took it has come back for more

    def failure(self, error: ReelpageError) -> Part:
        """The last part, which says that what `parts` has not given is lost."""
        tally, span = self._tally, self._subject.columns.span
        parts, pictures = self._given
        return failure(self._subject, error, tally.stage, (parts - span.start, pictures))

    def _ask(self, shard: Shard) -> Begun[AskedRows] | None:
        """Begin to ask what is to be asked about a part."""
        info, tasks = self._tally.info, self._subject.columns.tasks(shard.part)
        assert info is not None
        if not tasks:
            return None
        return self._tools.begin(asked_rows(self._subject, self._tools, info, shard, tasks))

    def _items(self) -> Iterator[Decoded]:
        """Parts from the lake's own shards where all are kept, else decoded."""
        columns, store = self._subject.columns, self._subject.store
        first = columns.first
        stop = columns.span.start + columns.kept
        if columns.info is not None and store.has(first, stop):
            yield columns.info
            for part in range(first, stop):
                shard = read_shard(self._tools.objects, store.name(part))
                if shard.cue_pictures is None and TEXT in columns.tasks(part):
                    first = part  # its subtitles are yet to be drawn
                    break
                yield shard
            else:
                return
        source, plan = self._subject.source, self._subject.recipe.plan_from(first)
        plan = replace(
            plan,
            stop_part=columns.span.stop,
            subtitles=source.subtitles,
            subtitle_pictures=any(one.task == TEXT for one in columns.missing),
        )
        for item in self._tools.decode(source.path, plan, fill=source.fill):
            if isinstance(item, Shard):
                yield from self._kept(item)
            else:
                yield item

    def _kept(self, shard: Shard) -> Iterator[Decoded]:
        """A part as an attempt before this one has kept it, with the pages that failed then."""
        kept = self._subject.store.keep(shard)
        for page in sorted(_pages(shard) - _pages(kept)):
            message = f"page {page} failed in an attempt before this one; try it again"
            yield PageFailure(shard.part, page, "page_failed", message)
        yield kept

    def _is_new(self, part: int) -> bool:
        """Whether the structure of a part has not landed."""
        structure = self._subject.columns.structure
        return structure is not None and part >= structure.first

    def _ranges(self, info: MediaInfo) -> tuple[tuple[str, Any], ...]:
        job, recipe = self._subject.delivery.job, self._subject.recipe
        return fan_out(job, self._subject.media_id, info, recipe.plan.segment_us)

    def _note(self, page: PageFailure) -> None:
        """Keep a failed page for the rows of its part, unless these have landed."""
        if self._is_new(page.part):
            self._tally.pages.append(page)

    def _part(self, part: Asked) -> Part:
        """Make the rows of a part, once the model has answered."""
        subject, tally, shard = self._subject, self._tally, part.shard
        columns, info, name = subject.columns, tally.info, subject.store.name(shard.part)
        assert info is not None
        pages = _pages(shard)
        failed = page_failures(subject, [page for page in tally.pages if page.page_no not in pages])
        rows: dict[str, list[Row]] = {}
        pictures = 0
        if self._is_new(shard.part):
            tally.stage = "land"
            rows |= structure_rows(subject, info, shard, name)
            pictures = shard.rows.num_rows
        if part.rows is not None:
            tally.stage = "generate"
            asked, unread_cues = part.rows.result()
            tally.add_unread(unread_cues, columns.first)
            rows |= {
                table: [row for row in some if row["unit_no"] not in columns.absent]
                for table, some in asked.items()
            }
        tally.stage, tally.pages = "decode", []
        tally.parts = shard.part + 1
        tally.pictures += pictures
        made = Part(
            {table: some for table, some in rows.items() if some},
            markers=columns.markers(
                "partial",
                tally.parts - columns.span.start,
                tally.facts(),
                subject.delivery.job.attempt,
            ),
            pictures=shard.rows.num_rows,
            share=_share(info, shard),
        )
        return made.plus(failed)

    def _end(self, last: Part) -> Part:
        """The last part, with what follows from the end of the job."""
        subject, tally = self._subject, self._tally
        columns, job = subject.columns, subject.delivery.job
        last = last.plus(page_failures(subject, tally.pages))
        rows = dict(last.rows)
        parts = tally.parts - columns.span.start
        facts = self._facts(parts) if columns.structure is not None else {}
        markers = columns.markers("indexed", parts, facts, job.attempt)
        ranges: tuple[Range, ...] = ()
        if columns.structure is not None:
            ranges = range_of(job, subject.media_id, subject.recipe)
            if not ranges:
                rows["media"] = [media_of(markers[:1])]
        return replace(
            last,
            rows=rows,
            outcome="indexed",
            markers=(*last.markers, *markers),
            ranges=ranges,
        )

    def _facts(self, parts: int) -> dict[str, Any]:
        """What the row of `media` is made of; see `media_of`."""
        subject, tally, job = self._subject, self._tally, self._subject.delivery.job
        assert tally.info is not None
        return {
            "medium": asdict(subject.medium),
            "info": info_to_json(tally.info),
            "name": subject.source.name,
            "size": subject.source.size,
            "parts": parts,
            **tally.facts(),
            "chunk": None if job.chunk is None else asdict(job.chunk),
        }


def structure_rows(
    subject: Subject, info: MediaInfo, shard: Shard, name: str
) -> dict[str, list[Row]]:
    """Rows that no prompt asks for, of one part whose shard has a name."""
    if info.kind != "video":
        return {"pages": page_rows(subject.medium, shard, name)}
    return {
        "segments": segment_rows(subject.medium, shard),
        "frames": frame_rows(subject.medium, shard, name),
    }


def _text_unread(cues: int, first: int) -> MediaWarning:
    what = f"pictures of subtitles in segments from {first} on"
    return MediaWarning("text_unread", f"{what}: {cues}")


def _pages(shard: Shard) -> set[int]:
    """Numbers of a document's pages; none of a video."""
    is_video = "page_no" not in shard.rows.schema.names
    return set() if is_video else set(shard.rows.column("page_no").to_pylist())


def _share(info: MediaInfo, shard: Shard) -> float:
    """Share of the medium that a part is, by its declared length."""
    whole = info.duration_us if info.kind == "video" else info.pages
    return min((shard.end - shard.start) / whole, 1.0) if whole else 0.0

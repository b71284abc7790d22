"""Units: one job, its medium at hand, to what lands of it, by decode, shards and the model."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import pyarrow as pa

from pipeline.consume import Input
from pipeline.decode import DecodePlan, decode
from pipeline.land.batch import Unit, join_ranges
from pipeline.land.maintenance.forget import is_forgotten
from pipeline.land.place import Objects
from pipeline.land.protocol import Letter, Marker, Range
from pipeline.land.rows import (
    Answer,
    Medium,
    Row,
    answer_rows,
    failure_row,
    frame_rows,
    page_rows,
    segment_rows,
    to_table,
)
from pipeline.land.store import ShardStore
from schemas.errors import InputError, ReelpageError, TransientError
from schemas.jobs import Job, Task
from schemas.shards import MediaInfo, Shard, UnitFailure, info_to_json
from services.ingest.columns import Columns, look_up, range_of
from services.ingest.keys import FanOut, fan_out, identity, key_of
from services.ingest.letters import letter_name
from services.ingest.recipe import Recipe, parse_sampling
from services.model.wire import ServedModel


class Answerer(Protocol):
    """Whoever asks the model about the pictures of a shard: this process, or Ray Serve."""

    def answers(self, name: str, shard: Shard, tasks: Sequence[Task]) -> list[list[Answer]]:
        """One list a picture, one answer a task.

        Args:
            name: of the shard's object.
            shard: the same shard.
            tasks: what to ask.

        Raises:
            TransientError: a later attempt may succeed.
            InputError: none will.
        """


@dataclass(frozen=True)
class Tools:
    """What the work goes through.

    Attributes:
        objects: the lake's; shards go there.
        marker: reads a marker by its name.
        answerer: asks the model.
        model: what the recipe needs of it.
    """

    objects: Objects
    marker: Callable[[str], Marker | None]
    answerer: Answerer
    model: ServedModel


@dataclass(frozen=True)
class Delivery:
    """A job as it came from the topic.

    Attributes:
        job: what to do.
        topic: where it came from ...
        partition: ... for its dead letter ...
        offset: ... and its failures.
        key: of its record.
    """

    job: Job
    topic: str
    partition: int
    offset: int
    key: str


class JobUnits:
    """One job whose medium is at hand."""

    def __init__(self, tools: Tools, delivery: Delivery, source: Input) -> None:
        self._job = job = delivery.job
        media_id = identity(job, source.input_id)
        self._tools, self._delivery = tools, delivery
        self._source = replace(source, input_id=media_id)
        model = tools.model
        plan = DecodePlan(parse_sampling(job.sample), model.min_pixels, model.max_pixels)
        self._recipe = Recipe(plan, job.tasks, model.name, model.revision)
        self._medium = Medium(media_id, self._recipe.sampling, job.media.uri, job.id)
        self._store = ShardStore(tools.objects, media_id, self._recipe.sampling_id)

    @cached_property
    def _columns(self) -> Columns:
        return look_up(self._tools.marker, self._job, self._medium.media_id, self._recipe)

    def units(self, first: int) -> Iterator[Unit | FanOut]:
        """What is left to do: nothing, a failure, other jobs, or parts from number `first` on."""
        key, media_id = key_of(self._job, self._medium.media_id), self._medium.media_id
        if key != self._delivery.key:
            yield FanOut(((key, self._job),))
        elif not self._columns.missing or is_forgotten(self._tools.objects, media_id):
            yield Unit(final=True)
        elif self._source.error is not None:
            yield self.failure(first, self._source.error, "consume")
        else:
            yield from self._parts(first)

    def _parts(self, first: int) -> Iterator[Unit | FanOut]:
        columns = self._columns
        part, held = columns.first + first, None
        tally = _Tally(part, self._store.pictures_before(part, columns.span.start))
        pages: list[Row] = []
        try:
            for item in self._items(part):
                if isinstance(item, MediaInfo):
                    tally.info = item
                    if jobs := fan_out(
                        self._job, self._medium.media_id, item, self._recipe.plan.segment_us
                    ):
                        yield FanOut(jobs)
                        return
                elif isinstance(item, UnitFailure):
                    pages.append(self._page_failure(item))
                else:
                    if held is not None:
                        yield held
                    held, pages = self._part(item, tally, pages), []
        except InputError as error:
            if held is not None:
                yield held
            yield self.failure(tally.parts - columns.first, error, tally.stage, pages)
            return
        yield self._end(held or Unit(), tally)

    def failure(
        self, first: int, error: ReelpageError, stage: str, pages: Sequence[Row] = ()
    ) -> Unit:
        """The last unit, with the row of the failure and the dead letter; `first` parts landed."""
        job, columns, error = self._job, self._columns, self._named(error)
        rows = [*pages, self._failure_row(error, stage, 0)]
        letter = Letter(
            letter_name(self._medium.media_id, job.id, job.attempt),
            {
                "job": job.to_json(),
                "key": self._delivery.key,
                "media_id": self._medium.media_id,
                "uri": self._medium.uri,
                "markers": [column.marker for column in columns.missing],
                "code": error.code,
                "message": error.message,
                "stage": stage,
                "topic": self._delivery.topic,
                "partition": self._delivery.partition,
                "offset": self._delivery.offset,
            },
        )
        done = columns.first - columns.span.start + first
        return Unit(
            rows={"failures": to_table("failures", rows)},
            final=True,
            markers=columns.markers("failed", done, {}, job.attempt),
            letters=(letter,),
        )

    def _items(self, part: int) -> Iterator[MediaInfo | Shard | UnitFailure]:
        """Parts from the lake's own shards where they are whole, else decoded."""
        span = self._columns.span
        info = self._store.read_info() if self._columns.structure is None else None
        if info is not None:
            yield info
            for shard in self._store.read_from(part):
                if shard.part >= span.stop:
                    return
                yield shard
            return
        plan = replace(self._recipe.plan_from(part), stop_part=span.stop)
        yield from decode(self._source.path, plan)

    def _part(self, shard: Shard, tally: "_Tally", pages: list[Row]) -> Unit:
        """Keep the shard, ask the model, and make the rows of one part."""
        structure, name = self._columns.structure, self._store.name(shard.part)
        info = tally.info
        assert info is not None
        rows: dict[str, list[Row]] = {"failures": pages} if pages else {}
        tally.stage = "land"
        if structure is not None:
            self._store.write(shard)
            if shard.part >= structure.first:
                rows |= self._structure(info, shard, name)
        tally.stage = "generate"
        if tasks := self._columns.tasks(shard.part):
            given = self._tools.answerer.answers(name, shard, tasks)
            model = (self._recipe.model, self._recipe.revision)
            rows["answers"] = answer_rows(self._medium, info.kind, shard, given, model)
        tally.stage = "decode"
        tally.saw(shard)
        return Unit({table: to_table(table, some) for table, some in rows.items() if some})

    def _structure(self, info: MediaInfo, shard: Shard, name: str) -> dict[str, list[Row]]:
        if info.kind != "video":
            return {"pages": page_rows(self._medium, shard, name)}
        return {
            "segments": segment_rows(self._medium, shard),
            "frames": frame_rows(self._medium, shard, name),
        }

    def _end(self, last: Unit, tally: "_Tally") -> Unit:
        """The last unit, with what follows from the end of the job."""
        columns, info = self._columns, tally.info
        assert info is not None
        parts = tally.parts - columns.span.start
        facts: dict[str, Any] = {}
        rows: dict[str, pa.Table] = dict(last.rows)
        ranges: tuple[Range, ...] = ()
        if columns.structure is not None:
            self._store.write_info(info)
            facts |= {
                "medium": asdict(self._medium),
                "info": info_to_json(info),
                "name": self._source.name,
                "size": self._source.size,
                "parts": parts,
                "pictures": tally.pictures,
            }
            if self._job.chunk is not None:
                facts["chunk"] = asdict(self._job.chunk)
        markers = columns.markers("indexed", parts, facts, self._job.attempt)
        if columns.structure is not None:
            ranges = range_of(self._job, self._medium.media_id, self._recipe)
            if not ranges:
                rows["media"] = join_ranges(markers[:1])
        return replace(last, rows=rows, final=True, markers=markers, ranges=ranges)

    def _page_failure(self, failure: UnitFailure) -> Row:
        error = InputError(failure.code, f"{self._source.name!r}: {failure.message}")
        return self._failure_row(error, "decode", failure.page_no)

    def _named(self, error: ReelpageError) -> ReelpageError:
        """The error with the medium's address in place of a temporary file's."""
        message = error.message.replace(str(self._source.path), self._source.uri)
        return type(error)(error.code, message)

    def _failure_row(self, error: ReelpageError, stage: str, page_no: int) -> Row:
        return failure_row(
            input_id=self._source.input_id,
            uri=self._source.uri,
            recipe=self._recipe.id,
            stage="consume" if isinstance(error, TransientError) else stage,
            error=error,
            run_id=self._job.id,
            attempt=self._job.attempt,
            page_no=page_no,
            size=self._source.size,
            sampling=self._recipe.sampling,
            first_segment=None if self._job.range is None else self._job.range.start,
        )


@dataclass
class _Tally:
    """What has been seen of a medium, or of its range."""

    parts: int
    pictures: int
    stage: str = "decode"
    info: MediaInfo | None = None

    def saw(self, shard: Shard) -> None:
        self.parts = shard.part + 1
        self.pictures += shard.rows.num_rows

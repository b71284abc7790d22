"""Subject: what a job is about, its medium at hand, and what the work on it goes through."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from pipeline.consume import Input, masked
from pipeline.decode import DecodePlan, Fill
from pipeline.land.place import Objects
from pipeline.land.rows import Answer, Medium
from pipeline.land.store import ShardStore
from pipeline.recognise import ShardText
from schemas.jobs import Job, Task
from schemas.shards import Decoded, Shard
from services.ingest.begin import Begin, Room, WhenWaitedFor
from services.ingest.columns import WHOLE, Columns, ReadMarkers, look_up, look_up_pages
from services.ingest.keys import Claim, identity
from services.ingest.recipe import Recipe, parse_plan
from services.model.wire import ServedModel


class Decode(Protocol):
    """`pipeline.decode.decode`."""

    def __call__(
        self, path: Path, plan: DecodePlan, *, fill: Fill | None = None
    ) -> Iterator[Decoded]:
        """Decode a medium."""


class Answerer(Protocol):
    """Whoever asks the model about the pictures of a shard: this process, or Ray Serve."""

    def model(self) -> ServedModel:
        """The model that is asked, as it was last read."""

    def read_model(self) -> None:
        """Read anew which model there is.

        Raises:
            TransientError: a later attempt may succeed.
        """

    def answers(
        self, name: str, shard: Shard, tasks: Sequence[Task], revision: str
    ) -> list[list[Answer]]:
        """One list a picture, or a single one for a segment; one answer a task.

        Args:
            name: of the shard's object.
            shard: the same shard.
            tasks: what to ask, about one kind of unit.
            revision: of the model that is to answer.

        Raises:
            TransientError: a later attempt may succeed; `model_changed`: after `read_model`.
            InputError: none will.
        """


class LineReader(Protocol):
    """Whoever reads the text of a shard: this process, or Ray Serve."""

    def text(self, name: str, shard: Shard) -> ShardText:
        """All text of a shard.

        Args:
            name: of the shard's object.
            shard: the same shard.

        Raises:
            TransientError: a later attempt may succeed.
            InputError: none will.
        """


@dataclass(frozen=True)
class Tools:
    """What the work goes through.

    Attributes:
        objects: the lake's; shards go there.
        markers: reads the markers of an object.
        answerer: asks the model.
        decode: media.
        reader: reads text.
        claim: media for keys.
        begin: asks about a part ...
        room: ... for which there is room.
    """

    objects: Objects
    markers: ReadMarkers
    answerer: Answerer
    decode: Decode
    reader: LineReader
    claim: Claim
    begin: Begin = WhenWaitedFor
    room: Room = field(default_factory=Room)


@dataclass(frozen=True)
class Delivery:
    """A job as it came from its log.

    Attributes:
        job: what to do.
        topic: where it came from ...
        partition: ... for its dead letter ...
        offset: ... and its failures.
        key: of its record.
        run_id: what its rows say they came by.
    """

    job: Job
    topic: str
    partition: int
    offset: int
    key: str
    run_id: str


@dataclass(frozen=True)
class Subject:
    """A job whose medium is at hand, or is known not to be.

    Attributes:
        delivery: the job.
        source: its medium.
        recipe: sampling, model and tasks.
        medium: what its rows carry.
        store: its shards.
        columns: what is left to do.
    """

    delivery: Delivery
    source: Input
    recipe: Recipe
    medium: Medium
    store: ShardStore
    columns: Columns

    @classmethod
    def of(cls, delivery: Delivery, source: Input, tools: Tools) -> "Subject":
        """Find out what is left to do for a medium.

        Raises:
            TransientError, SetupError: what reading the markers raises.
        """
        bare = cls.unread(delivery, source, tools)
        job = delivery.job
        find = look_up_pages if job.pages else look_up
        columns = find(tools.markers, job, bare.media_id, bare.recipe)
        begun = replace(delivery, job=replace(job, attempt=columns.attempt))
        return replace(bare, delivery=begun, columns=columns)

    @classmethod
    def unread(cls, delivery: Delivery, source: Input, tools: Tools) -> "Subject":
        """The same without a look at the markers: it has no columns, so that none is written."""
        job, model = delivery.job, tools.answerer.model()
        media_id = identity(job, source.input_id)
        recipe = Recipe(parse_plan(job.sample), job.tasks, model.name, model.revision)
        source = replace(source, input_id=media_id, uri=masked(source.uri))
        return cls(
            delivery,
            source,
            recipe,
            Medium(media_id, recipe.sampling, masked(job.media.address), delivery.run_id),
            ShardStore(tools.objects, media_id, recipe.sampling_id),
            Columns("", job.range or WHOLE, ()),
        )

    @property
    def media_id(self) -> str:
        """Identity of the medium."""
        return self.medium.media_id

    @property
    def model(self) -> tuple[str, str]:
        """Name and revision of the model."""
        return self.recipe.model, self.recipe.revision

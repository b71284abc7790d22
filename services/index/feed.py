"""Feed: inputs to the parts that are missing of them, decoded or from the lake's own shards."""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.consume import Input, open_input
from pipeline.decode import Limits, decode
from pipeline.land.rows import Medium
from pipeline.land.store import ShardStore
from schemas.errors import InputError, ReelpageError
from schemas.jobs import Task
from schemas.shards import MediaInfo, Shard, UnitFailure
from services.index.outbox import Outbox
from services.index.progress import Progress
from services.ingest.recipe import Recipe


@dataclass(frozen=True)
class Work:
    """What is left to do for one medium.

    Attributes:
        source: where it came from.
        medium: what its rows carry.
        store: its shards.
        missing: tasks whose answers are not all in the lake.
        first_part: parts before it are in all tables.
        structure_done: whether `media` has its row, so that only answers are missing.
    """

    source: Input
    medium: Medium
    store: ShardStore
    missing: tuple[Task, ...]
    first_part: int
    structure_done: bool


@dataclass(frozen=True)
class Part:
    """One shard of a medium; `is_last` once nothing follows."""

    shard: Shard
    is_last: bool


@dataclass(frozen=True)
class Skipped:
    """Nothing is left to do, the run has seen the same content before, or it is forgotten."""


@dataclass(frozen=True)
class KnownFailure:
    """An earlier run has recorded the failure."""


@dataclass(frozen=True)
class Failed:
    """The rest of the medium cannot be had."""

    error: ReelpageError
    stage: str


@dataclass(frozen=True)
class Ended:
    """All parts have been given."""


@dataclass(frozen=True)
class Event:
    """Something that happened to an input; each input's last one is no part.

    `work` is None where the input was never looked up in the lake.
    """

    source: Input
    work: Work | None
    what: MediaInfo | Part | UnitFailure | Skipped | KnownFailure | Failed | Ended

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return int(self.what.shard.rows.nbytes) if isinstance(self.what, Part) else 0


class Feed:
    """Walks the inputs; runs in a thread of its own, ahead of the model."""

    def __init__(
        self,
        outbox: Outbox,
        recipe: Recipe,
        progress: Progress,
        *,
        retry_failed: bool,
        limits: Limits | None,
    ) -> None:
        self._outbox, self._recipe, self._limits = outbox, recipe, limits
        self._progress, self._retry = progress, retry_failed

    def events(self, files: Iterable[Path | Input]) -> Generator[Event, None, None]:
        """What happens to each input, in order; a bad input never ends the others."""
        seen: set[str] = set()
        for file in files:
            source = file if isinstance(file, Input) else open_input(file)
            self._progress.current = source.name
            try:
                if source.error is not None:
                    yield Event(source, None, Failed(source.error, "consume"))
                elif source.input_id in seen:
                    yield Event(source, None, Skipped())
                else:
                    seen.add(source.input_id)
                    yield from self._of_input(source)
            finally:
                source.discard()

    def _of_input(self, source: Input) -> Iterator[Event]:
        work = None if self._outbox.forgotten(source.input_id) else self._work(source)
        if work is None:
            yield Event(source, None, Skipped())
            return
        app = self._recipe.failure_app(source.input_id, 0)
        if not self._retry and self._outbox.position("failures", app) is not None:
            yield Event(source, work, KnownFailure())
            return
        held: Shard | None = None  # until it is known whether it is the last one
        try:
            for item in self._items(work):
                if not isinstance(item, Shard):
                    yield Event(source, work, item)
                    continue
                if held is not None:
                    yield Event(source, work, Part(held, is_last=False))
                held = item
        except InputError as error:
            if held is not None:
                yield Event(source, work, Part(held, is_last=False))
            yield Event(source, work, Failed(error, "decode"))
            return
        if held is not None:
            yield Event(source, work, Part(held, is_last=True))
        yield Event(source, work, Ended())

    def _work(self, source: Input) -> Work | None:
        """What is left to do for a medium, or None if nothing is."""
        recipe, outbox = self._recipe, self._outbox
        structure = recipe.structure_app(source.input_id)
        done = outbox.finished("media", structure)
        apps = {task: recipe.answers_app(source.input_id, task) for task in recipe.tasks}
        missing = tuple(task for task, app in apps.items() if not outbox.finished("answers", app))
        if done and not missing:
            return None
        positions = [outbox.position("answers", apps[task]) for task in missing]
        if not done:
            positions += self._structure_positions(structure)
        first = min((-1 if position is None else position) + 1 for position in positions)
        medium = Medium(source.input_id, recipe.sampling, source.uri, outbox.run_id)
        store = outbox.shards(source.input_id, recipe.sampling_id)
        return Work(source, medium, store, missing, first, done)

    def _structure_positions(self, app: str) -> list[int | None]:
        """Of the tables that a video or a document has; the other kind's have none at all."""
        for kind in (("segments", "frames"), ("pages",)):
            known = [self._outbox.position(table, app) for table in kind]
            if any(position is not None for position in known):
                return known
        return [None]

    def _items(self, work: Work) -> Iterator[MediaInfo | Shard | UnitFailure]:
        """Parts of a medium from the lake's own shards where they are whole, else decoded."""
        info = work.store.read_info() if work.structure_done else None
        if info is not None and work.store.count() > work.first_part:
            yield info
            yield from work.store.read_from(work.first_part)
            return
        plan = self._recipe.plan_from(work.first_part)
        for item in decode(work.source.path, plan, self._limits):
            if isinstance(item, Shard):
                self._progress.decode.done += item.rows.num_rows
            yield item

"""Media: what is sent, what a decoder makes of it, and a model that answers anything."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from random import Random
from typing import Any, Final, Literal, get_args

import pyarrow as pa

from pipeline.consume import Input, failed_input
from pipeline.decode import DecodePlan, Fill
from pipeline.land.rows import Answer
from schemas.errors import InputError, TransientError
from schemas.jobs import TEXT, Job, MediaReference, StreamChunk, Task
from schemas.shards import FRAMES, PAGES, MediaInfo, PageFailure, Shard
from services.ingest.keys import RANGE_PARTS, identity, key_at
from services.ingest.subject import Decoded
from services.model.wire import ServedModel
from tests.simulation.fiber import sleep
from tests.simulation.world import Clock, World

Poison = Literal["", "source", "unreachable", "decode", "ask", "fault", "away"]

Sender = Literal["file", "object", "copy", "url", "stranger"]
SENDERS: Final = get_args(Sender)
"""Who sends a medium: one who knows its content, its address and etag, or neither; "copy" has it
under another etag, "stranger" sends all that there is under one key."""

TASKS: Final = (Task("a", "What is it?"), Task("b", "Where is it?"), TEXT)
PAGES_PER_PART: Final = 8
PART_US: Final = 10_000_000
_LONG_US: Final = 121 * PART_US
_NEVER: Final = 1e9


@dataclass(frozen=True)
class Medium:
    """One medium.

    Attributes:
        name: of its file.
        kind: of it.
        pictures: numbers of the frames or pages of each part that it has.
        poison: what is wrong with it ...
        part: ... where ...
        heals_at: ... and until when; its bad pages too.
        bad: pages that cannot be rendered until then.
        chunk: place in a live stream, if it is a piece of one.
    """

    name: str
    kind: Literal["video", "document", "image"]
    pictures: Mapping[int, tuple[int, ...]]
    poison: Poison = ""
    part: int = 0
    heals_at: float = _NEVER
    bad: frozenset[int] = frozenset()
    chunk: StreamChunk | None = None

    @property
    def uri(self) -> str:
        return f"/media/{self.name}"

    @cached_property
    def content_id(self) -> str:
        return _digest(self.name)

    @cached_property
    def media_id(self) -> str:
        return identity(self.job(()), self.content_id)

    @property
    def ids(self) -> tuple[str, ...]:
        """All that it may be known by: as a chunk or a file, whether it can be read or not."""
        read = (self.content_id, _digest(self.uri))
        return tuple(dict.fromkeys([*read, *(identity(self.job(()), one) for one in read)]))

    def job(self, tasks: Sequence[Task]) -> Job:
        job_id = _digest(f"{self.name} {[task.name for task in tasks]}")[:16]
        return Job(job_id, MediaReference(self.uri), tuple(tasks), chunk=self.chunk)

    def sent(self, tasks: Sequence[Task], sender: Sender) -> tuple[str, Job]:
        """A job with its key: its sender may know the content, or no more than the address."""
        job = self.job(tasks)
        if job.chunk is not None:
            return job.chunk.stream, job
        if sender == "file":
            return self.content_id, job
        if sender == "stranger":
            return "all", job
        etag = {"url": None, "object": "1", "copy": "2"}[sender]
        media = replace(job.media, etag=etag)
        return key_at(media), replace(job, media=media)

    @cached_property
    def info(self) -> MediaInfo:
        if self.kind != "video":
            count = sum(map(len, self.pictures.values()))
            return MediaInfo(self.kind, "pdf", "", 0, 0, pages=count)
        length = _LONG_US if self.is_long else (max(self.pictures) + 1) * PART_US
        return MediaInfo("video", "mp4", "h264", 2, 2, duration_us=length)

    @property
    def is_long(self) -> bool:
        return max(self.pictures) >= RANGE_PARTS

    def part_of(self, picture: int) -> int:
        return next(part for part, numbers in self.pictures.items() if picture in numbers)


def make(number: int, random: Random) -> Medium:
    """The medium of a number, at random."""
    name, kind = f"m{number}", random.choices(["video", "document", "long", "chunk"], [5, 4, 1, 1])
    pictures: dict[int, tuple[int, ...]]
    if kind == ["document"]:
        counts = [random.randint(1, 2) for _ in range(random.randint(1, 3))]
        pictures = {
            part: tuple(part * PAGES_PER_PART + 1 + n for n in range(count))
            for part, count in enumerate(counts)
        }
    elif kind == ["long"]:
        pictures = _frames(
            start + n
            for start in range(0, 5 * RANGE_PARTS, RANGE_PARTS)
            for n in range(random.randint(1 if start in (0, 4 * RANGE_PARTS) else 0, 2))
        )
    else:
        pictures = _frames(range(random.randint(1, 4)))
    pages = [page for numbers in pictures.values() for page in numbers]
    is_bad = kind == ["document"] and random.random() < 0.5
    poisons: tuple[Poison, ...] = ("source", "unreachable", "decode", "ask", "fault", "away")
    return Medium(
        name,
        "document" if kind == ["document"] else "video",
        pictures,
        random.choice(poisons) if random.random() < 0.3 else "",
        random.choice(list(pictures)),
        random.choice([random.uniform(5, 60), _NEVER]),
        frozenset(random.sample(pages, random.randint(1, min(2, len(pages)))))
        if is_bad
        else frozenset(),
        StreamChunk("camera", number, number) if kind == ["chunk"] else None,
    )


def _frames(parts: "range | Iterator[int]") -> dict[int, tuple[int, ...]]:
    """Parts with 0 to 2 frames: what is on the screen may be so for longer than a part."""
    return {part: tuple(part * 10 + n for n in range((part + 1) % 3)) for part in parts}


@dataclass
class Library:
    """All media of a run, as sources and decoders have them; they take time and fail."""

    clock: Clock
    media: Mapping[str, Medium]
    by_id: dict[str, Medium] = field(init=False)

    def __post_init__(self) -> None:
        self.by_id = {one: medium for medium in self.media.values() for one in medium.ids}

    @contextmanager
    def open(self, job: Job, known_as: str = "") -> Iterator[Input]:
        """See `services.ingest.work.Source`."""
        sleep(self.clock.random.expovariate(5.0))
        if self.is_poisoned(self.media[job.media.uri], "unreachable") or self.clock.fault("work"):
            raise TransientError("fetch_failed", f"{job.media.uri}: the store does not answer")
        yield self.input(job.media.uri)

    def input(self, uri: str) -> Input:
        """What opening a file gives; see `services.index.files.opened`."""
        medium = self.media[uri]
        if self.is_poisoned(medium, "source"):
            return failed_input(uri, InputError("not_found", f"{uri}: there is no such file"))
        if self.is_poisoned(medium, "unreachable"):
            return failed_input(uri, TransientError("fetch_failed", f"{uri}: does not come"))
        return Input(uri, Path(uri), medium.content_id, 1)

    def decode(
        self, path: Path, plan: DecodePlan, *, fill: Fill | None = None
    ) -> Iterator[Decoded]:
        """See `services.ingest.subject.Decode`."""
        medium = self.media[str(path)]
        sleep(self.clock.random.expovariate(5.0))
        yield medium.info
        for part, pictures in medium.pictures.items():
            if part < plan.first_part or (plan.stop_part is not None and part >= plan.stop_part):
                continue
            sleep(self.clock.random.expovariate(2.0))
            self._check(medium, part)
            bad = [page for page in pictures if page in medium.bad and not self._is_healed(medium)]
            for page in bad:
                yield PageFailure(part, page, "page_failed", f"page {page} cannot be rendered")
            good = tuple(number for number in pictures if number not in bad)
            yield _shard(medium.kind == "video", part, good)

    def is_poisoned(self, medium: Medium, how: Poison, part: int | None = None) -> bool:
        here = part is None or part == medium.part
        return medium.poison == how and here and not self._is_healed(medium)

    def _check(self, medium: Medium, part: int) -> None:
        if self.is_poisoned(medium, "decode", part):
            raise InputError("corrupt", f"{medium.uri}: part {part} is damaged")
        if self.is_poisoned(medium, "fault", part):
            raise ZeroDivisionError(f"{medium.uri}: part {part}")  # noqa: EM102
        if self.is_poisoned(medium, "away", part) or self.clock.fault("work"):
            raise TransientError("fetch_failed", f"{medium.uri}: part {part} does not come")

    def _is_healed(self, medium: Medium) -> bool:
        return self.clock.now >= medium.heals_at


class Answerer:
    """A model that answers anything; see `services.ingest.subject.Answerer`."""

    def __init__(self, clock: Clock, world: World, library: Library, *, is_own: bool) -> None:
        """It is in this process, and stays as it is, or is served, and may change."""
        self._clock, self._world, self._library, self._is_own = clock, world, library, is_own
        self._model = _model(world.revision)

    def model(self) -> ServedModel:
        return self._model

    def read_model(self) -> None:
        sleep(self._clock.random.expovariate(10.0))
        if self._is_own:
            return
        if self._clock.fault("error"):
            raise TransientError("graph_busy", "the graph has no room")
        self._model = _model(self._world.revision)

    def answers(
        self, name: str, shard: Shard, tasks: Sequence[Task], revision: str
    ) -> list[list[Answer]]:
        sleep(self._clock.random.expovariate(2.0))
        medium = self._library.by_id[name.split("/")[2]]
        if self._library.is_poisoned(medium, "ask", shard.part):
            raise InputError("features_invalid", f"{medium.uri}: part {shard.part} is refused")
        if self._clock.fault("work"):
            raise TransientError("graph_failed", "the graph does not answer")
        if revision != (self._model if self._is_own else _model(self._world.revision)).revision:
            raise TransientError("model_changed", f"{revision} is not served any more")
        one = [Answer(task, "yes", "stop") for task in tasks]
        return [one] * shard.rows.num_rows


def _model(revision: int) -> ServedModel:
    return ServedModel("tiny", f"r{revision}", 1, 4)


@lru_cache(maxsize=4096)
def _shard(is_video: bool, part: int, pictures: tuple[int, ...]) -> Shard:
    rows = [_frame(number) if is_video else _page(number) for number in pictures]
    schema = FRAMES if is_video else PAGES
    start, step = (part * PART_US, PART_US) if is_video else (part * 8 + 1, 8)
    batch = pa.RecordBatch.from_pylist(rows, schema=schema)
    cues = ((start, start + step, "said"),) if is_video else ()
    return Shard(part, start, start + step, batch, cues=cues)


def _frame(number: int) -> dict[str, Any]:
    times = {"pts": number, "time_base_num": 1, "time_base_den": 1, "t_us": number}
    return {"frame_no": number, **times, "is_key": True, **_PICTURE, "is_blank": True}


def _page(number: int) -> dict[str, Any]:
    line = {"text": "written", "x0": 0, "y0": 0, "x1": 1, "y1": 1}
    return {"page_no": number, "rotation": 0, "text": "written", "lines": [line], **_PICTURE}


_PICTURE: Final = {"width": 2, "height": 2, "phash": 0, "is_blank": False, "image": b""}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

"""A medium is fetched once, whoever sends it, and all work on it is done under one key."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.consume import Input, open_input
from pipeline.land.place import Place
from pipeline.land.store import CLAIMS, local_place
from pipeline.query.sql import query
from pipeline.query.verify import verify
from schemas.jobs import Job, MediaReference
from services.ingest.keys import key_at
from services.ingest.recipe import parse_tasks
from services.ingest.sources import Sources
from services.settings import Settings
from tests.composed import Ends, work_on
from tests.ingest.test_poison import picture
from tests.soak.stub import Stub


class Counting(Sources):
    """Notes what is opened."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.opened: list[str] = []

    @contextmanager
    def open(self, job: Job, known_as: str = "") -> Iterator[Input]:
        self.opened.append(Path(job.media.uri).name)
        with super().open(job, known_as) as source:
            yield source


class Desk:
    """Sends jobs about objects, of which it knows address and etag, and has them worked on."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.lake = folder, folder / "lake"
        self.settings = Settings(roots=(folder,))
        self.sources, self.topics = Counting(self.settings), 0

    @property
    def place(self) -> Place:
        return local_place(self.lake)

    def work(self, *names: str, key: str = "", tasks: str = "caption") -> Counter[str]:
        """How jobs about some files end."""
        records = []
        for name in names:
            media = MediaReference(str(self.folder / name), etag="1")
            job = Job(f"{name} {tasks}", media, parse_tasks(tasks, ()))
            records.append((key or key_at(media), job.to_json().encode()))
        self.topics += 1
        ends: Ends = work_on(
            self.lake, records, Stub(), self.settings, self.sources, f"topic-{self.topics}"
        )
        return Counter(part.outcome for parts in ends.parts.values() for part in parts)

    def claims(self) -> dict[str, str]:
        objects = self.place.objects
        held = {name: objects.get(name) or b"" for name in objects.names(CLAIMS)}
        return {name.removeprefix(CLAIMS): key.decode() for name, key in held.items()}

    def key(self, name: str) -> str:
        return key_at(MediaReference(str(self.folder / name), etag="1"))

    def media_id(self, name: str) -> str:
        return open_input(self.folder / name).input_id


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    picture(tmp_path / "a.png")
    (tmp_path / "copy.png").write_bytes((tmp_path / "a.png").read_bytes())
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes() + b"\0")
    return Desk(tmp_path)


def test_a_new_object_is_fetched_once_and_worked_on_where_it_came(desk: Desk) -> None:
    assert desk.work("a.png", "b.png") == {"indexed": 2}
    assert sorted(desk.sources.opened) == ["a.png", "b.png"]
    assert desk.claims() == {desk.media_id(name): desk.key(name) for name in ("a.png", "b.png")}


def test_a_copy_goes_where_the_first_one_was(desk: Desk) -> None:
    assert desk.work("a.png") == {"indexed": 1}
    assert desk.work("copy.png") == {"skipped": 1}
    assert desk.sources.opened == ["a.png", "copy.png"]
    # Who it is, is known: so where it is worked on is known before it is fetched again.
    assert desk.work("copy.png", tasks="ocr") == {"sent_on": 1, "indexed": 1}
    assert desk.sources.opened == ["a.png", "copy.png", "copy.png"]
    assert desk.claims() == {desk.media_id("a.png"): desk.key("a.png")}
    assert query(desk.place, "from answers").num_rows == 2
    assert verify(desk.place) == []


def test_two_copies_at_once_are_worked_on_one_after_the_other(desk: Desk) -> None:
    names = ["a.png", "copy.png"] * 4
    ended = desk.work(*names)
    assert ended["indexed"] == 1
    assert ended["skipped"] == len(names) - 1
    assert query(desk.place, "from answers").num_rows == 1
    assert verify(desk.place) == []


def test_one_key_for_everything_puts_nothing_in_one_queue(desk: Desk) -> None:
    assert desk.work("a.png", "b.png", key="all") == {"sent_on": 2, "indexed": 2}
    ids = {desk.media_id(name) for name in ("a.png", "b.png")}
    assert desk.claims() == {media_id: media_id for media_id in ids}


def test_one_that_cannot_be_had_fails_once(desk: Desk) -> None:
    assert desk.work("none.png", "none.png") == {"failed": 1, "known_failure": 1}
    assert query(desk.place, "from failures").num_rows == 1

"""A lake that `index` has begun is finished by the stream, and the reverse, row for row."""

import random
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from pipeline.consume import open_input
from pipeline.land.protocol import Marker
from pipeline.land.records import markers_of
from pipeline.land.store import Folder
from tests.conftest import Running, run, start, tables
from tests.streams import Stream, StreamFactory
from tests.videos import video

pytestmark = pytest.mark.ci

WAIT_S = 120
SECONDS, PAGES = 120, 72
ALL = 4 * (SECONDS // 10 + PAGES // 8)
"""Parts of all columns: structure, lines, and two questions."""
ASKED = "text,caption,ocr"
_chance = random.Random(12)
_numbers = count()

Rows = dict[str, list[dict[str, object]]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 12 parts, a document of 9, more than are asked at a time, and an absent file."""
    made = tmp_path_factory.mktemp("media")
    video(made / "clip.mp4", SECONDS)
    pages = []
    for number in range(PAGES):
        page = Image.new("RGB", (320, 320), "white")
        ImageDraw.Draw(page).ellipse([10, 10, 30 + number, 30 + number], fill="red")
        pages.append(page)
    pages[0].save(made / "pages.tif", save_all=True, append_images=pages[1:])
    return made


@pytest.fixture(scope="module")
def inputs(folder: Path) -> list[Path]:
    """What is indexed; a failure's row, too, lands once."""
    return [folder / name for name in ("clip.mp4", "pages.tif", "absent.mp4")]


@pytest.fixture(scope="module")
def calm(inputs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """The rows of one undisturbed run."""
    lake = tmp_path_factory.mktemp("calm") / "lake"
    assert run("index", *inputs, "--to", lake, "--tasks", ASKED).code == 1
    return comparable(lake)


def comparable(lake: Path) -> Rows:
    """All tables; which questions met a failure first depends on who came when."""
    found = tables(lake)
    assert len(found["failures"]) == 1
    found["failures"] = [row | {"recipe": None} for row in found["failures"]]
    return found


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path / "lake"


@pytest.fixture
def stream(streams: StreamFactory, folder: Path, lake: Path) -> Iterator[Stream]:
    """A topic whose workers land in the same folder as `index`."""
    name = f"continue-{next(_numbers)}"
    made = streams(name, REELPAGE_LAKE=str(lake), REELPAGE_ROOTS=str(folder))
    yield made
    for process in made.processes.values():
        process.kill()
        process.wait()


def markers(lake: Path, below: str = "") -> list[Marker]:
    """How far the columns of all media are, or of those below a name."""
    objects = Folder(lake)
    names = [one for one in objects.names(f"markers/{below}") if one.endswith(".json")]
    return [
        marker for name in names for marker in markers_of(name, objects.get(name) or b"{}").values()
    ]


def is_amid(lake: Path, medium: Path) -> bool:
    """Whether some parts of a medium have landed, and not all."""
    found = markers(lake, f"{open_input(medium).input_id}/")
    return any(marker.outcome == "partial" for marker in found)


def landed(lake: Path) -> int:
    """Parts of all columns."""
    return sum(marker.parts for marker in markers(lake))


def kill_amid(lake: Path, medium: Path, process: Running) -> None:
    """SIGKILL at a random moment while a medium is in work."""
    give_up = time.monotonic() + WAIT_S
    while not is_amid(lake, medium):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < give_up
        time.sleep(0.02)
    time.sleep(_chance.uniform(0, 0.05))
    assert process.poll() is None, "it ended before it could be killed"
    process.kill()
    process.wait()


CASES = pytest.mark.parametrize(
    ("amid", "first", "then"),
    [("clip.mp4", ASKED, (ASKED,)), ("pages.tif", "caption", ("ocr", "text,caption"))],
    ids=["a video", "a document and other questions"],
)
"""In the midst of what it is killed, what is asked before, and what is asked then.

What is in work first lands first: so it is the first input, or it might land at once.
"""


@CASES
def test_the_stream_finishes_what_index_has_begun(
    stream: Stream,
    lake: Path,
    inputs: list[Path],
    calm: Rows,
    amid: str,
    first: str,
    then: tuple[str, ...],
) -> None:
    ordered = sorted(inputs, key=lambda path: path.name != amid)
    process = start("index", *ordered, "--to", lake, "--tasks", first)
    kill_amid(lake, ordered[0], process)
    stream.start("worker", "worker")
    for tasks in then:
        assert stream.submit(*inputs, "--tasks", tasks)["sent"] == len(inputs)
    stream.wait()
    assert comparable(lake) == calm
    assert stream.run("verify", lake, "--topic").code == 0
    assert stream.end("worker") == 0
    assert run("index", *inputs, "--to", lake, "--tasks", ASKED, "--json").json["skipped"] == 2
    assert comparable(lake) == calm


@CASES
def test_index_finishes_what_the_stream_has_begun(
    stream: Stream,
    lake: Path,
    inputs: list[Path],
    calm: Rows,
    amid: str,
    first: str,
    then: tuple[str, ...],
) -> None:
    ordered = sorted(inputs, key=lambda path: path.name != amid)
    stream.submit(*ordered, "--tasks", first)
    stream.start("worker", "worker")
    kill_amid(lake, ordered[0], stream.processes.pop("worker"))
    for tasks in then:
        done = run("index", *inputs, "--to", lake, "--tasks", tasks, "--json")
        assert (done.code, done.json["failed"]) == (1, 1)
    assert comparable(lake) == calm
    assert run("verify", lake).code == 0
    stream.start("worker", "worker")
    stream.wait()
    assert comparable(lake) == calm, "the worker finds its jobs done"
    assert stream.run("verify", lake, "--topic").code == 0


def test_each_goes_on_where_the_other_was_killed(
    stream: Stream, lake: Path, inputs: list[Path], calm: Rows
) -> None:
    """In turn, each behind some parts, until nothing is left."""
    stream.submit(*inputs, "--tasks", ASKED)
    turns = 0
    while (before := landed(lake)) < ALL:
        if turns % 2:
            stream.start("worker", "worker")
            process = stream.processes.pop("worker")
        else:
            process = start("index", *inputs, "--to", lake, "--tasks", ASKED)
        wanted = min(before + _chance.randint(1, ALL // 4), ALL)
        give_up = time.monotonic() + WAIT_S
        while landed(lake) < wanted:
            assert time.monotonic() < give_up
            time.sleep(0.02)
        process.kill()
        process.wait()
        turns += 1
    assert turns > 1
    assert run("index", *inputs, "--to", lake, "--tasks", ASKED).code == 1
    assert comparable(lake) == calm
    assert run("verify", lake).code == 0

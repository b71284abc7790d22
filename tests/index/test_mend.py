"""Failed pages of a finished document are tried again, and every question finds them then."""

from functools import partial
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

import pipeline.vlm
from benchmarks.stub_worker import Stub
from pipeline.consume import open_input
from pipeline.decode import Limits, decode
from pipeline.land.place import Place
from pipeline.land.store import local_place
from pipeline.query.sql import query
from pipeline.query.verify import verify
from schemas.jobs import Job, Task
from services.index.summary import Summary
from services.ingest.recipe import parse_tasks
from services.ingest.subject import Answerer, Decode
from services.inspect.failures import open_failures, retries
from services.model.in_process import InProcess
from tests.composed import given, index
from tests.conftest import rows, run
from tests.ingest.conftest import StubStream
from tests.streams import StreamFactory

TINY = Path(pipeline.vlm.__file__).parent / "tiny"
PAGES = 10
LARGE = {2: 400, 10: 500}
"""Sides of two pages that are larger than the others, in parts of their own."""
CAPTION = parse_tasks("caption", ())
COLOUR = parse_tasks("", ("What colour is the shape?",))


def within(side: int) -> Decode:
    """The decoder, which refuses pictures of longer sides."""
    return partial(decode, limits=Limits(image_pixels=side * side))


NARROW_SIDE = 300
NARROW = within(NARROW_SIDE)
"""Refuses both of the large pages."""


@pytest.fixture(scope="module")
def model() -> InProcess:
    return InProcess(TINY, "cpu", 1)


@pytest.fixture
def document(tmp_path: Path) -> Path:
    pages = []
    for number in range(1, PAGES + 1):
        side = LARGE.get(number, 200 + 4 * number)
        page = Image.new("RGB", (side, side), "white")
        ImageDraw.Draw(page).ellipse([20, 20, 40 + 10 * number, 40 + 10 * number], fill="red")
        pages.append(page)
    path = tmp_path / "pages.tif"
    pages[0].save(path, save_all=True, append_images=pages[1:])
    return path


def ask(root: Path, path: Path, tasks: tuple[Task, ...], model: Answerer, how: Decode) -> Summary:
    return index(root, given([open_input(path)], tasks), model, how)


def failed(root: Path) -> list[tuple[int, int]]:
    """Pages that are open, and the attempt at which they failed last."""
    found = open_failures(local_place(root)).to_pylist()
    return [(row["unit_no"], row["attempt"]) for row in found]


def again(root: Path) -> Job:
    """The job that `retry` would work on."""
    place = local_place(root)
    ((_, job),), left = retries(place, open_failures(place).to_pylist())
    assert left == 0
    return job


def pages_of(lake: Path | Place) -> dict[str, list[dict[str, object]]]:
    """Rows, but for where a picture is in its shard: pages that come late go to its end."""
    tables = ("pages", "answers")
    return {name: [row | {"shard_row": 0} for row in rows(lake, name)] for name in tables}


def test_pages_that_failed_land_with_all_their_answers(
    document: Path, tmp_path: Path, model: InProcess
) -> None:
    whole, root = tmp_path / "whole", tmp_path / "lake"
    ask(whole, document, (*CAPTION, *COLOUR), model, decode)
    first = ask(root, document, CAPTION, model, NARROW)
    assert (first.indexed, first.failed_pages, first.exit_code) == (1, 2, 1)
    later = ask(root, document, COLOUR, model, decode)  # of the pages that were kept
    assert (later.indexed, later.failed_pages) == (1, 0)
    assert failed(root) == [(2, 0), (10, 0)]
    assert again(root).pages == (2, 10)
    done = run("retry", root, "--json")
    assert (done.code, done.json["inputs"], done.json["failed_pages"]) == (0, 1, 0)
    assert done.json["indexed"] == 1
    assert failed(root) == []
    assert verify(local_place(root)) == []
    assert run("show", root, "pages.tif#10", "--json").json["picture"]["page_no"] == 10
    assert pages_of(root) == pages_of(whole)
    assert run("retry", root).out.startswith("nothing to retry")


def test_a_page_that_fails_again_stays_open(
    document: Path, tmp_path: Path, model: InProcess
) -> None:
    root = tmp_path / "lake"
    ask(root, document, CAPTION, model, NARROW)
    summary = index(root, [(again(root), open_input(document))], model, within(450))
    assert (summary.indexed, summary.failed_pages, summary.exit_code) == (1, 1, 1)
    assert failed(root) == [(10, 1)]
    summary = index(root, [(again(root), open_input(document))], model, NARROW)
    assert (summary.failed, summary.failed_pages, summary.exit_code) == (1, 1, 1)
    assert failed(root) == [(10, 2)]
    attempts = query(local_place(root), "from failures order by unit_no, attempt").to_pylist()
    assert [(row["unit_no"], row["attempt"]) for row in attempts] == [
        (2, 0),
        (10, 0),
        (10, 1),
        (10, 2),
    ]
    assert run("retry", root).code == 0
    assert failed(root) == []
    assert verify(local_place(root)) == []


def test_the_same_attempt_again_finds_it_known(
    document: Path, tmp_path: Path, model: InProcess
) -> None:
    root = tmp_path / "lake"
    ask(root, document, CAPTION, model, NARROW)
    job = again(root)
    for known in (0, 2):
        summary = index(root, [(job, open_input(document))], model, NARROW)
        assert (summary.failed, summary.failed_pages) == (1, 2 - known)
    assert failed(root) == [(2, 1), (10, 1)]


def test_a_file_that_has_changed_is_named(document: Path, tmp_path: Path, model: InProcess) -> None:
    root = tmp_path / "lake"
    ask(root, document, CAPTION, model, NARROW)
    before = pages_of(root)
    Image.new("RGB", (90, 90)).save(document)
    done = run("retry", root)
    assert done.code == 1
    assert "media_changed" in done.err
    assert "pages.tif" in done.err
    assert pages_of(root) == before
    codes = query(local_place(root), "select code from failures order by code")["code"]
    assert codes.to_pylist() == ["media_changed", "media_changed", "too_large", "too_large"]
    assert set(failed(root)) == {(2, 0), (10, 0), (2, 1), (10, 1)}


@pytest.fixture
def stream(streams: StreamFactory) -> StubStream:
    """Its worker refuses both of the large pages."""
    made = streams("test-mend")
    stub = StubStream(made.environment, made.logs, made.processes)
    stub.start_worker(image_pixels=NARROW_SIDE**2)
    return stub


def pages_that_failed(stream: StubStream) -> list[tuple[int, int]]:
    """Each time with its attempt."""
    return sorted((row["unit_no"], row["attempt"]) for row in rows(stream.place, "failures"))


@pytest.mark.ci
def test_pages_of_a_stream_are_sent_again(
    document: Path, tmp_path: Path, stream: StubStream
) -> None:
    path = document.rename(stream.logs / document.name)
    whole = tmp_path / "whole"
    ask(whole, path, (*CAPTION, *COLOUR), Stub(0), decode)
    stream.submit(path, "--tasks", "caption")
    stream.wait()
    stream.submit(path, "--tasks", "", "--ask", COLOUR[0].prompt)
    stream.wait()
    assert pages_that_failed(stream) == [(2, 0), (10, 0)]
    assert stream.run("retry", stream.location, "--json").json == {"retried": 1, "left": 0}
    stream.wait()
    assert pages_that_failed(stream) == [(2, 0), (2, 1), (10, 0), (10, 1)]
    assert stream.end("worker") == 0
    stream.start_worker()
    assert stream.run("retry", stream.location, "--json").json == {"retried": 1, "left": 0}
    stream.wait()
    assert stream.run("errors", stream.location, "--json").json == []
    assert pages_of(stream.place) == pages_of(whole)
    assert stream.run("verify", stream.location, "--topic").code == 0
    assert stream.run("retry", stream.location, "--json").json == {"retried": 0, "left": 0}

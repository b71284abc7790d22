"""Failed pages of a finished document are tried again, and every question finds them then."""

import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

import pipeline.vlm
from pipeline.decode import DecodePlan, Limits, Sampling
from pipeline.land.lake import Lake
from pipeline.land.store import local_place
from pipeline.query.sql import query
from pipeline.query.verify import verify
from schemas.jobs import Task
from services.index.local import LocalRun
from services.index.mend import Mend
from services.index.progress import Progress
from services.index.summary import Summary, land_run
from services.ingest.recipe import Recipe, parse_tasks
from services.inspect.lake import open_failures, retry_jobs
from services.model.reader import Reader, model_facts
from tests.conftest import rows, run

TINY = Path(pipeline.vlm.__file__).parent / "tiny"
NARROW = Limits(image_pixels=300 * 300)
LARGE_PAGE = 2


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """Three pages; the second is too large for `NARROW`."""
    pages = []
    for number, side in enumerate((200, 400, 240), start=1):
        page = Image.new("RGB", (side, side), "white")
        ImageDraw.Draw(page).ellipse([20, 20, 20 + 40 * number, 20 + 40 * number], fill="red")
        pages.append(page)
    path = tmp_path / "pages.tif"
    pages[0].save(path, save_all=True, append_images=pages[1:])
    return path


def recipe(tasks: tuple[Task, ...]) -> Recipe:
    facts = model_facts(TINY)
    plan = DecodePlan(Sampling("rate", 1.0), facts.min_pixels, facts.max_pixels)
    return Recipe(plan, tasks, facts.name, facts.revision)


def index(lake: Lake, path: Path, how: Recipe, limits: Limits | None) -> Summary:
    reader = Reader(model_facts(TINY), "cpu")
    one = LocalRun(lake, how, reader, Progress(), uuid.uuid4().hex, limits=limits)
    summary = one.run([path])
    land_run(lake, how, summary, datetime.now(UTC), "index")
    return summary


def test_a_page_that_failed_lands_with_all_its_answers(document: Path, tmp_path: Path) -> None:
    first, later = parse_tasks("caption", ()), parse_tasks("", ("What colour is the shape?",))
    with Lake(tmp_path / "whole") as lake:
        index(lake, document, recipe((*first, *later)), None)
    root = tmp_path / "lake"
    with Lake(root) as lake:
        failed = index(lake, document, recipe(first), NARROW)
        assert (failed.indexed, failed.failed_pages, failed.exit_code) == (1, 1, 1)
        index(lake, document, recipe(later), None)  # asked of the kept pages alone
    (job,) = retry_jobs(local_place(root), "true")
    assert job.pages == {str(document): (LARGE_PAGE,)}
    assert set(job.tasks) == {*first, *later}
    again = run("retry", root, "--json")
    assert (again.code, again.json["indexed"], again.json["failed_pages"]) == (0, 1, 0)
    assert open_failures(local_place(root)).num_rows == 0
    assert verify(local_place(root)) == []
    assert run("show", root, f"pages.tif#{LARGE_PAGE}", "--json").json["picture"]["page_no"] == 2
    for table in ("pages", "answers"):
        expected = [one | {"shard_row": 0} for one in rows(tmp_path / "whole", table)]
        assert [one | {"shard_row": 0} for one in rows(root, table)] == expected
    assert run("retry", root).out.startswith("nothing to retry")


def test_a_page_that_fails_again_stays_open(document: Path, tmp_path: Path) -> None:
    how = recipe(parse_tasks("caption", ()))
    with Lake(tmp_path / "lake") as lake:
        index(lake, document, how, NARROW)
        reader = Reader(model_facts(TINY), "cpu")
        mend = Mend(lake, how, reader, Progress(), uuid.uuid4().hex, limits=NARROW)
        summary = mend.run({document: (LARGE_PAGE,)})
    assert (summary.failed_pages, summary.exit_code) == (1, 1)
    attempts = query(
        local_place(tmp_path / "lake"), "select attempt from failures order by attempt"
    )
    assert attempts["attempt"].to_pylist() == [0, 1]


def test_a_file_that_has_changed_is_named(document: Path, tmp_path: Path) -> None:
    how = recipe(parse_tasks("caption", ()))
    with Lake(tmp_path / "lake") as lake:
        index(lake, document, how, NARROW)
        Image.new("RGB", (90, 90)).save(document)
        reader = Reader(model_facts(TINY), "cpu")
        summary = Mend(lake, how, reader, Progress(), "run").run({document: (LARGE_PAGE,)})
    assert summary.failed == 1
    assert "has changed" in summary.errors[0][1]

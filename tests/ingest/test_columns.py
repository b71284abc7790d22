"""Columns: what is missing of a medium, by the markers of what was done before."""

from dataclasses import asdict

import pytest

from pipeline.decode import DecodePlan
from pipeline.land.protocol import STRUCTURE, Marker, Markers
from schemas.jobs import Job, MediaReference, PartRange, Task
from schemas.shards import MediaInfo, info_to_json
from services.ingest.columns import (
    WHOLE,
    Columns,
    column_name,
    look_up,
    look_up_pages,
    markers_name,
    range_of,
)
from services.ingest.recipe import Recipe, parse_sampling

CAPTION, OCR = Task("caption", "What is it?"), Task("ocr", "Read.")
RECIPE = Recipe(DecodePlan(parse_sampling("1fps")), (CAPTION, OCR), "m", "r1")
JOB = Job("j", MediaReference("u"), tasks=(CAPTION, OCR))
AGAIN = Job("j", JOB.media, tasks=JOB.tasks, attempt=1)
NAME = markers_name("id", RECIPE, WHOLE)
INFO = MediaInfo("document", "pdf", "", 0, 0, pages=3)


def marker(task: Task | None, outcome: str, parts: int = 0, attempt: int = 0) -> Marker:
    facts = {"info": info_to_json(INFO), "pictures": 7} if task is None else {"task": asdict(task)}
    return Marker(NAME, column_name(RECIPE, task), outcome, parts, facts, attempt)  # type: ignore[arg-type]


def columns(job: Job, *markers: Marker) -> Columns:
    held: dict[str, Markers] = {NAME: {one.column: one for one in markers}}
    return look_up(lambda name: held.get(name, {}), job, "id", RECIPE)


def test_everything_is_missing_at_first() -> None:
    found = columns(JOB)
    assert [column.task for column in found.missing] == [None, CAPTION, OCR]
    assert found.structure is not None
    assert found.first == 0
    assert found.tasks(0) == (CAPTION, OCR)


def test_a_new_prompt_lands_alone() -> None:
    found = columns(JOB, marker(None, "indexed", 4), marker(CAPTION, "indexed", 4))
    assert found.structure is None
    assert found.tasks(0) == (OCR,)
    assert (found.kept, found.info) == (4, INFO)


def test_nothing_is_left() -> None:
    found = columns(JOB, *(marker(task, "indexed", 4) for task in (None, CAPTION, OCR)))
    assert found.missing == ()
    assert not found.known_failure


def test_what_was_interrupted_goes_on_where_it_stopped() -> None:
    found = columns(JOB, marker(None, "partial", 3), marker(CAPTION, "partial", 3))
    assert [(column.task, column.first) for column in found.missing] == [
        (None, 3),
        (CAPTION, 3),
        (OCR, 0),
    ]
    assert found.first == 0
    assert (found.tasks(2), found.tasks(3)) == ((OCR,), (CAPTION, OCR))
    assert found.pictures == 7
    assert (found.kept, found.info) == (0, None), "the shards of later parts are not there"


def test_a_failure_is_work_for_a_later_attempt_alone() -> None:
    failed = [marker(task, "failed", parts=3) for task in (None, CAPTION, OCR)]
    assert columns(JOB, *failed).known_failure
    found = columns(AGAIN, *failed)
    assert found.first == 3
    assert found.tasks(2) == ()
    assert found.tasks(3) == (CAPTION, OCR)
    assert columns(AGAIN, marker(None, "failed", 3, attempt=1)).known_failure


def test_columns_that_stopped_at_different_parts() -> None:
    found = columns(AGAIN, marker(None, "indexed", 4), marker(CAPTION, "failed", 2))
    assert found.first == 0
    assert found.tasks(0) == (OCR,)
    assert found.tasks(2) == (CAPTION, OCR)


def test_a_range_counts_from_its_own_start() -> None:
    spans = (PartRange(0, 30), PartRange(30, WHOLE.stop))
    part = Job("j/30", JOB.media, range=spans[1], ranges=spans, attempt=1)
    name = markers_name("id", RECIPE, spans[1])
    held = {name: {STRUCTURE: Marker(name, STRUCTURE, "failed", 4)}}
    found = look_up(lambda name: held.get(name, {}), part, "id", RECIPE)
    assert found.first == 34
    (markers,) = found.markers("partial", 5, {}, 1)
    assert (markers.name, markers.parts) == (name, 5)
    (medium,) = range_of(part, "id", RECIPE)
    assert medium.markers == tuple(markers_name("id", RECIPE, span) for span in spans)
    assert range_of(JOB, "id", RECIPE) == ()


def test_markers_never_say_less_than_what_has_landed() -> None:
    found = columns(JOB, marker(None, "partial", 3))
    parts = [one.parts for one in found.markers("partial", 1, {}, 0)]
    assert parts == [3, 1, 1]


@pytest.mark.parametrize(
    ("outcome", "attempt", "missing"),
    [("indexed", 0, ["3"]), ("failed", 0, ["2", "3"]), ("failed", 1, ["3"])],
)
def test_pages_are_columns_of_their_own(outcome: str, attempt: int, missing: list[str]) -> None:
    name = f"markers/id/{RECIPE.sampling_id}/pages.json"
    document = (marker(None, "partial", 3), marker(OCR, "partial", 2))
    former = Marker(NAME, f"r0-{CAPTION.prompt_id}", "indexed", 3)
    held: dict[str, Markers] = {
        name: {"2": Marker(name, "2", outcome, 1, attempt=attempt)},  # type: ignore[arg-type]
        NAME: {one.column: one for one in (*document, former)},
    }
    job = Job("j", JOB.media, tasks=JOB.tasks, attempt=1, pages=(2, 3))
    found = look_up_pages(lambda name: held.get(name, {}), job, "id", RECIPE)
    assert [column.name for column in found.missing] == missing
    assert (found.name, found.known_failure) == (name, False)
    assert found.kept == 3, "parts whose pages have landed or failed"
    assert found.asked == ((OCR, 2),), "what this model has answered, as far as it has"


def test_pages_that_failed_again_are_known() -> None:
    name = f"markers/id/{RECIPE.sampling_id}/pages.json"
    held = {name: {"2": Marker(name, "2", "failed", 0, attempt=1)}}
    job = Job("j", JOB.media, attempt=1, pages=(2,))
    found = look_up_pages(lambda name: held.get(name, {}), job, "id", RECIPE)
    assert (found.missing, found.known_failure) == ((), True)

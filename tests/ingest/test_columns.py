"""Columns: what is missing of a medium, by the markers of what was done before."""

from pipeline.decode import DecodePlan
from pipeline.land.protocol import Marker
from schemas.jobs import Job, MediaReference, Task, PartRange
from services.ingest.columns import WHOLE, Columns, look_up, marker_name, range_of
from services.ingest.recipe import Recipe, parse_sampling

CAPTION, OCR = Task("caption", "What is it?"), Task("ocr", "Read.")
RECIPE = Recipe(DecodePlan(parse_sampling("1fps"), 1, 2), (CAPTION, OCR), "m", "r1")
JOB = Job("j", MediaReference("u"), tasks=(CAPTION, OCR))


def columns(job: Job, *markers: Marker) -> Columns:
    return look_up({marker.name: marker for marker in markers}.get, job, "id", RECIPE)


def marker(task: Task | None, outcome: str, units: int = 0, attempt: int = 0) -> Marker:
    name = marker_name("id", RECIPE, WHOLE, task)
    return Marker(name, outcome, units, attempt=attempt)  # type: ignore[arg-type]


def test_everything_is_missing_at_first() -> None:
    found = columns(JOB)
    assert [column.task for column in found.missing] == [None, CAPTION, OCR]
    assert found.structure is not None
    assert found.first == 0
    assert found.tasks(0) == (CAPTION, OCR)


def test_a_new_prompt_lands_alone() -> None:
    found = columns(JOB, marker(None, "indexed"), marker(CAPTION, "indexed"))
    assert found.structure is None
    assert found.tasks(0) == (OCR,)


def test_nothing_is_left() -> None:
    done = [marker(task, "indexed") for task in (None, CAPTION, OCR)]
    assert columns(JOB, *done) == Columns(WHOLE, ())


def test_a_failure_is_work_for_a_later_attempt_alone() -> None:
    failed = [marker(task, "failed", units=3) for task in (None, CAPTION, OCR)]
    assert columns(JOB, *failed).known_failure
    again = Job("j", JOB.media, tasks=JOB.tasks, attempt=1)
    found = columns(again, *failed)
    assert found.first == 3
    assert found.tasks(2) == ()
    assert found.tasks(3) == (CAPTION, OCR)
    assert columns(again, *[marker(None, "failed", 3, attempt=1)]).known_failure


def test_columns_that_stopped_at_different_parts() -> None:
    again = Job("j", JOB.media, tasks=JOB.tasks, attempt=1)
    found = columns(again, marker(None, "indexed"), marker(CAPTION, "failed", 2))
    assert found.first == 0
    assert found.tasks(0) == (OCR,)
    assert found.tasks(2) == (CAPTION, OCR)


def test_a_range_counts_from_its_own_start() -> None:
    spans = (PartRange(0, 30), PartRange(30, WHOLE.stop))
    part = Job("j/30", JOB.media, range=spans[1], ranges=spans, attempt=1)
    name = marker_name("id", RECIPE, spans[1], None)
    found = look_up({name: Marker(name, "failed", 4)}.get, part, "id", RECIPE)
    assert found.first == 34
    (medium,) = range_of(part, "id", RECIPE)
    assert medium.markers == tuple(marker_name("id", RECIPE, span, None) for span in spans)
    assert range_of(JOB, "id", RECIPE) == ()

"""Attempts: whoever goes on with what another attempt has begun loses none of its parts."""

from functools import partial
from pathlib import Path

from pipeline.consume import failed_input
from pipeline.decode import decode
from pipeline.land.protocol import Marker, Markers, advanced
from pipeline.land.store import Folder
from schemas.errors import InputError
from schemas.jobs import Job
from services.ingest.claims import claim
from services.ingest.columns import WHOLE, Columns, look_up, markers_name
from services.ingest.failing import failure
from services.ingest.subject import Delivery, Subject, Tools
from tests.composed import TEXT_HERE
from tests.ingest.test_columns import AGAIN, JOB, NAME, RECIPE
from tests.soak.stub import Stub


def found(held: Markers, job: Job) -> Columns:
    """What a job finds that a medium's markers leave to do."""
    return look_up(lambda name: held if name == NAME else {}, job, "id", RECIPE)


def after(held: Markers, job: Job, parts: int) -> Markers:
    """The markers of a medium whose job has landed so many parts, and goes on."""
    columns = found(held, job)
    return advanced(held, columns.markers("partial", parts, {}, columns.attempt))


def test_a_first_attempt_goes_on_with_what_a_retry_has_begun() -> None:
    """`retry` is killed behind part 4, `index` behind part 5; then `index` comes again."""
    names = [column.name for column in found({}, JOB).missing]
    failed: Markers = {name: Marker(NAME, name, "failed", 3) for name in names}
    held = after(after(failed, AGAIN, 5), JOB, 6)
    assert found(held, JOB).first == 6
    assert {marker.attempt for marker in held.values()} == {1}


def test_its_failure_is_one_of_that_attempt(tmp_path: Path) -> None:
    """Else it would be the second failure of the first attempt, and its letter would do nothing."""
    error = InputError("corrupt", "broken")
    source, delivery = failed_input("u", error), Delivery(JOB, "t", 0, 0, "k", "r")
    markers: dict[str, Markers] = {}
    objects = Folder(tmp_path)
    read, claims = (lambda name: markers.get(name, {})), partial(claim, objects)
    tools = Tools(objects, read, Stub(), decode, TEXT_HERE, claims)
    fresh = Subject.of(delivery, source, tools)
    name = markers_name(fresh.media_id, fresh.recipe, WHOLE)
    column = fresh.columns.missing[0].name
    markers[name] = {column: Marker(name, column, "partial", 5, attempt=1)}
    part = failure(Subject.of(delivery, source, tools), error, "decode", (5, 0))
    assert [row["attempt"] for row in part.rows["failures"]] == [1]
    assert {marker.attempt for marker in part.markers} == {1}
    (letter,) = part.letters
    assert Job.from_json(letter.value["job"]).attempt == 1

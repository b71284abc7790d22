"""Work: what a soak submits, and the rows that it has to come to, by the local index code."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.consume import Input, find_files, open_input
from pipeline.decode import DecodePlan
from pipeline.land.store import local_place
from pipeline.query.sql import query
from schemas.errors import ReelpageError
from schemas.jobs import Job, MediaReference, Task
from schemas.tables import KEYS
from services.ingest.recipe import Recipe, parse_sampling
from services.settings import Settings
from services.submit.jobs import Question, jobs
from tests.composed import given, index
from tests.soak.media import make_media
from tests.soak.stub import MODEL, Stub

SAMPLE = "0.2fps"
TASKS = tuple((Task(name, f"{name}?", 8),) for name in ("caption", "ocr", "mood"))
MISSING = "s3://media/nowhere.png"
_CHANGING = {"run_id", "indexed_at", "failed_at", "latency_us", "message", "recipe"}

Rows = dict[str, list[dict[str, object]]]


@dataclass(frozen=True)
class Media:
    """Files on this machine, and others that are to be in a bucket."""

    local: Path
    remote: Path

    @classmethod
    def made(cls, folder: Path, pictures: int, seed: int) -> "Media":
        media = cls(folder / "local", folder / "remote")
        make_media(media.local, pictures, 2 * seed)
        make_media(media.remote, pictures // 2, 2 * seed + 1)
        return media

    def inputs(self) -> Iterator[Input]:
        """Each medium once, with the address that its job has."""
        for path in find_files([self.local]):
            assert isinstance(path, Path)
            yield open_input(path)
        for path in find_files([self.remote]):
            assert isinstance(path, Path)
            yield open_input(path, f"s3://media/{path.name}")


def submissions(media: Media, settings: Settings, seed: int) -> list[tuple[str, Job]]:
    """All jobs in the order of their submission: other prompts and repetitions behind the first."""
    chance = random.Random(seed)
    rounds = []
    for tasks in TASKS:
        question = Question(tasks, SAMPLE)
        found = list(jobs([str(media.local), "s3://media"], question, settings))
        assert not any(isinstance(one, ReelpageError) for one in found)
        missing = MediaReference(MISSING)
        rounds.append([*found, ("missing", question.job("missing", missing))])
    first, *others = rounds
    twice = chance.sample(first, len(first) // 2)
    for some in (first, *others):
        chance.shuffle(some)
    return [*first, *twice, *(one for some in others for one in some)]  # type: ignore[misc]


def expected(media: Media, folder: Path) -> Rows:
    """The rows that `reelpage index` lands, once a prompt; of failures the first of an input."""
    inputs = list(media.inputs())
    lake_folder = folder / "expected"
    for tasks in TASKS:
        index(lake_folder, given(inputs, tasks, SAMPLE), Stub())
    plan = DecodePlan(parse_sampling(SAMPLE))
    recipe = Recipe(plan, tasks, MODEL.name, MODEL.revision)
    found = rows(lake_folder)
    missing = {"input_id": _missing_id(), "uri": MISSING, "unit": "media", "unit_no": 0}
    missing |= {"stage": "consume", "code": "not_found", "attempt": 0, "size_bytes": 0}
    missing |= {"sampling": recipe.sampling}
    failures = {(row["input_id"], row["unit_no"]): row for row in [*found["failures"], missing]}
    found["failures"] = sorted(failures.values(), key=_order)
    return found


def rows(lake: Path) -> Rows:
    """Rows of a lake in a folder, without what changes from run to run."""
    place = local_place(lake)
    return {
        name: comparable(query(place, f"from {name}").to_pylist(), name)
        for name in KEYS
        if name != "runs"
    }


def comparable(found: list[dict[str, object]], table: str) -> list[dict[str, object]]:
    """Rows in the order of their key, without what changes from run to run."""
    kept = [{k: v for k, v in row.items() if k not in _CHANGING} for row in found]
    if table == "failures":
        return sorted(kept, key=_order)
    return sorted(kept, key=lambda row: [str(row[key]).rjust(20) for key in KEYS[table]])


def _order(row: dict[str, object]) -> list[str]:
    return [str(row["input_id"]), str(row["unit_no"]).rjust(20), str(row["attempt"])]


def _missing_id() -> str:
    return open_input(Path("/nowhere/at/all"), MISSING).input_id

"""Each kind of damage to a whole lake is found, and nothing is found in a whole lake."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from pipeline.land.commit import GroupCommitter
from pipeline.land.lake import open_lake
from pipeline.land.perform import Performer
from pipeline.land.place import Place
from pipeline.land.protocol import STRUCTURE, Advance, Batch, Marker
from pipeline.land.records import to_bytes
from pipeline.land.rows import to_table
from pipeline.land.store import local_place, sampling_id
from pipeline.query.verify import Problem, verify
from schemas.tables import TABLES
from tests.tables import PROTOCOL, append

Row = dict[str, Any]
VIDEO: Row = {"media_id": "v", "sampling": "s"}
PAPER: Row = {"media_id": "p", "sampling": "s"}
SAMPLING = sampling_id("s")
COLUMNS = (STRUCTURE, "r-q")


def rows(table: str) -> list[Row]:
    """A video of 2 segments and 4 frames, a document of 3 pages of which one failed, one run."""
    video = VIDEO | {"kind": "video", "segments": 2, "frames": 4, "pages": 0, "failed_pages": 0}
    paper = PAPER | {"kind": "document", "segments": 0, "frames": 0, "pages": 3, "failed_pages": 1}
    frames = [
        VIDEO | {"segment_no": n // 2, "frame_no": n, "shard": f"shards/{n // 2}.arrow"}
        for n in range(4)
    ]
    pages = [PAPER | {"page_no": n, "shard": "shards/pages.arrow"} for n in (1, 3)]
    asked = [(VIDEO, "frame", n) for n in range(4)] + [(PAPER, "page", n) for n in (1, 3)]
    model = {"prompt_id": "q", "model_revision": "r"}
    return {
        "media": [video, paper],
        "segments": [VIDEO | {"segment_no": n} for n in range(2)],
        "frames": frames,
        "pages": pages,
        "answers": [who | model | {"unit": unit, "unit_no": n} for who, unit, n in asked],
        "failures": [{"input_id": "p", "unit": "page", "unit_no": 2, "recipe": "x", "attempt": 0}],
        "runs": [{"run_id": "1", "inputs": 3, "indexed": 2, "skipped": 0, "failed": 1}],
    }.get(table, [])


def markers(media_id: str, outcome: str = "indexed", span: str = "whole") -> tuple[Marker, ...]:
    """Of structure and of the one prompt."""
    name = f"markers/{media_id}/{SAMPLING}/{span}.json"
    return tuple(Marker(name, column, outcome, 2) for column in COLUMNS)  # type: ignore[arg-type]


def advance(place: Place, *more: Marker) -> None:
    with GroupCommitter(place, 0) as tables:
        worker = Performer(tables, place.objects)
        worker.run(step for step in [Advance(marker.name, (marker,)) for marker in more])


def land(place: Place, batch: Batch) -> None:
    with GroupCommitter(place, 0) as tables:
        assert Performer(tables, place.objects).run(PROTOCOL.land(batch))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    with open_lake(tmp_path) as place:
        for name, schema in TABLES.items():
            append(place, name, "all", 0, pa.Table.from_pylist(rows(name), schema=schema))
        advance(place, *markers("v"), *markers("p"))
    (tmp_path / "shards").mkdir()
    for shard in ("0", "1", "pages"):
        (tmp_path / "shards" / f"{shard}.arrow").write_bytes(b"x")
    return tmp_path


def found(root: Path) -> list[Problem]:
    return verify(local_place(root))


def kinds(root: Path) -> list[tuple[str, str]]:
    return [(problem.kind, problem.table) for problem in found(root)]


def change(table: str, predicate: str) -> Callable[[Path], object]:
    return lambda root: DeltaTable(str(root / table)).delete(predicate)


def repeat(table: str) -> Callable[[Path], object]:
    more = pa.Table.from_pylist(rows(table)[:1], schema=TABLES[table])
    return lambda root: write_deltalake(str(root / table), more, mode="append")


def test_a_whole_lake_has_no_problem(root: Path) -> None:
    assert verify(local_place(root)) == []


def test_an_empty_lake_has_no_problem(tmp_path: Path) -> None:
    with open_lake(tmp_path) as place:
        assert verify(place) == []


@pytest.mark.parametrize("table", ["media", "segments", "frames", "pages", "answers", "failures"])
def test_duplicates(root: Path, table: str) -> None:
    repeat(table)(root)
    assert ("duplicate", table) in kinds(root)


@pytest.mark.parametrize(
    ("damage", "finding"),
    [
        (change("segments", "segment_no = 0"), ("gap", "segments")),
        (change("segments", "segment_no = 1"), ("gap", "segments")),
        (change("frames", "frame_no = 2"), ("gap", "frames")),
        (change("pages", "page_no = 3"), ("gap", "pages")),
        (change("failures", "unit_no = 2"), ("gap", "pages")),
        (change("answers", "unit_no = 1 and media_id = 'v'"), ("gap", "answers")),
        (change("answers", "unit_no = 1 and media_id = 'p'"), ("gap", "answers")),
        (change("media", "media_id = 'v'"), ("gap", "media")),
    ],
)
def test_what_is_missing(
    root: Path, damage: Callable[[Path], object], finding: tuple[str, str]
) -> None:
    damage(root)
    problems = [problem for problem in found(root) if problem.kind != "orphan_file"]
    assert finding in [(problem.kind, problem.table) for problem in problems]
    assert not all(problem.harmless for problem in problems)
    assert all("\n" not in problem.message for problem in problems)


def test_a_run_that_lost_an_input(root: Path) -> None:
    row = {"run_id": "2", "inputs": 3, "indexed": 1, "skipped": 0, "failed": 1}
    table = pa.Table.from_pylist([row], schema=TABLES["runs"])
    write_deltalake(str(root / "runs"), table, mode="append")
    assert kinds(root) == [("count", "runs")]


def half_asked(root: Path, outcome: str, span: str = "whole") -> list[tuple[str, str]]:
    """What is found where one of four pictures has been asked a second prompt."""
    row = VIDEO | {"unit": "frame", "unit_no": 0, "prompt_id": "new", "model_revision": "r"}
    name = f"markers/v/{SAMPLING}/{span}.json"
    with open_lake(root) as place:
        append(place, "answers", "more", 0, to_table("answers", [row]))
        advance(place, Marker(name, "r-new", outcome, 1))  # type: ignore[arg-type]
    return kinds(root)


def test_a_prompt_that_was_interrupted_is_unfinished(root: Path) -> None:
    assert half_asked(root, "partial") == [("unfinished", "answers")]
    assert all(problem.harmless for problem in found(root))


def test_a_prompt_that_failed_is_no_gap(root: Path) -> None:
    """A row in `failures` says so, as for a page."""
    assert half_asked(root, "failed") == []


def test_a_prompt_that_has_lost_answers_is_a_gap(root: Path) -> None:
    assert half_asked(root, "indexed") == [("gap", "answers")]


def test_a_prompt_that_one_range_was_not_asked_yet_is_unfinished(root: Path) -> None:
    with open_lake(root) as place:
        place.objects.delete(f"markers/v/{SAMPLING}/whole.json")
        advance(place, *markers("v", span="0-1"), *markers("v", span="1-100000"))
    assert kinds(root) == [], "the ranges are all that the video may have"
    assert half_asked(root, "indexed", "0-1") == [("unfinished", "answers")]


def test_a_medium_that_was_interrupted_is_unfinished(root: Path) -> None:
    rows = {
        "frames": to_table("frames", [{"media_id": "new", "sampling": "s", "frame_no": 0}]),
    }
    with open_lake(root) as place:
        land(place, Batch("g/t/0", None, 0, 7, rows, markers("new", "partial")))
    assert kinds(root) == [("unfinished", "frames")]
    assert all(problem.harmless for problem in found(root))


def test_markers_that_are_lost(root: Path) -> None:
    """The next job about the medium would find nothing, and land all its rows again."""
    local_place(root).objects.delete(f"markers/v/{SAMPLING}/whole.json")
    assert kinds(root) == [("missing_marker", "markers")]
    assert not found(root)[0].harmless
    with open_lake(root) as place:
        advance(place, *markers("v", span="0-1"))
        advance(place, *markers("v", span="2-100000"))
    assert kinds(root) == [("missing_marker", "markers")], "a range is missing"


def test_markers_that_a_killed_worker_has_still_to_store_are_not_lost(root: Path) -> None:
    place = local_place(root)
    rows = {"media": to_table("media", [{"media_id": "new", "sampling": "s", "kind": "video"}])}
    batch = Batch("g/t/0", None, 0, 7, rows, markers("new"))
    place.objects.put(batch.record, to_bytes(batch))
    append(place, "failures", batch.app, batch.last, pa.table({}))
    append(place, "failures", f"{batch.app}#record", batch.number, pa.table({}))
    append(place, "media", batch.app, batch.last, rows["media"])
    assert kinds(root) == [("unfinished", "markers")]
    with GroupCommitter(place, 0) as tables:
        Performer(tables, place.objects).run(PROTOCOL.resume(batch.app))
    assert kinds(root) == []


def test_markers_of_rows_that_are_lost(root: Path) -> None:
    """A table that is older than the objects: the medium would be skipped for ever."""
    with open_lake(root) as place:
        advance(place, *markers("new"))
    assert kinds(root) == [("gap", "media")]
    with open_lake(root) as place:
        place.objects.put("forgotten/new", b"{}")
    assert kinds(root) == [("orphan_marker", "markers")], "a worker was landing it meanwhile"
    assert found(root)[0].harmless


def test_a_range_without_rows_is_no_problem(root: Path) -> None:
    """A video that is shorter than it says: its last range may end before the others begin."""
    with open_lake(root) as place:
        advance(place, *markers("new", span="30-60"))
    assert kinds(root) == []


def test_a_lake_of_version_1_is_not_held_to_what_markers_say(root: Path) -> None:
    for media_id in "vp":
        local_place(root).objects.delete(f"markers/{media_id}/{SAMPLING}/whole.json")
        name = f"markers/{media_id}/{SAMPLING}/whole/structure.json"
        local_place(root).objects.put(name, b'{"outcome": "indexed", "units": 2}')
    (root / "lake.json").write_text('{"lake_version": 1}')
    assert kinds(root) == []
    change("answers", "unit_no = 1 and media_id = 'v'")(root)
    assert ("gap", "answers") in kinds(root)


def test_other_objects_are_no_orphans(root: Path) -> None:
    names = (
        f"markers/v/{SAMPLING}/pages.json",
        f"markers/v/{SAMPLING}/.whole.json.12-34",
        "dead/v/0123456789abcdef-0.json",
        "dead/v/0123456789abcdef-0-page-2.json",
        "forgotten/x",
        "topics/g/t.json",
    )
    for name in names:
        local_place(root).objects.put(name, b"{}")
    assert verify(local_place(root)) == []


def test_shards(root: Path) -> None:
    (root / "shards" / "0.arrow").rename(root / "shards" / "9.arrow")
    assert kinds(root) == [("missing_shard", "shards"), ("orphan_shard", "shards")]


def test_files(root: Path) -> None:
    file = next((root / "frames").glob("*.parquet"))
    file.with_name("part-orphan.parquet").write_bytes(file.read_bytes())
    assert kinds(root) == [("orphan_file", "frames")]
    assert verify(local_place(root))[0].harmless
    file.unlink()
    assert ("missing_file", "frames") in kinds(root)
    assert not all(problem.harmless for problem in verify(local_place(root)))

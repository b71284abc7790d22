"""Each kind of damage to a whole lake is found, and nothing is found in a whole lake."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from pipeline.land.lake import Lake, Landing
from pipeline.land.store import local_place
from pipeline.query.verify import verify
from schemas.tables import TABLES

Row = dict[str, Any]
VIDEO: Row = {"media_id": "v", "sampling": "s"}
PAPER: Row = {"media_id": "p", "sampling": "s"}


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


@pytest.fixture
def root(tmp_path: Path) -> Path:
    with Lake(tmp_path) as lake:
        for name, schema in TABLES.items():
            table = pa.Table.from_pylist(rows(name), schema=schema)
            landings = [Landing("all", 0, table)]
            if name == "answers":
                landings += [
                    Landing(f"local/{media}/s/r/q", 0, table.slice(0, 0), final=True)
                    for media in "vp"
                ]
            lake.land(name, landings)
    (tmp_path / "shards").mkdir()
    for shard in ("0", "1", "pages"):
        (tmp_path / "shards" / f"{shard}.arrow").write_bytes(b"x")
    return tmp_path


def kinds(root: Path) -> list[tuple[str, str]]:
    return [(problem.kind, problem.table) for problem in verify(local_place(root))]


def change(table: str, predicate: str) -> Callable[[Path], object]:
    return lambda root: DeltaTable(str(root / table)).delete(predicate)


def repeat(table: str) -> Callable[[Path], object]:
    more = pa.Table.from_pylist(rows(table)[:1], schema=TABLES[table])
    return lambda root: write_deltalake(str(root / table), more, mode="append")


def test_a_whole_lake_has_no_problem(root: Path) -> None:
    assert verify(local_place(root)) == []


def test_an_empty_lake_has_no_problem(tmp_path: Path) -> None:
    Lake(tmp_path).close()
    assert verify(local_place(tmp_path)) == []


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
        (change("media", "media_id = 'v'"), ("unfinished", "frames")),
    ],
)
def test_what_is_missing(
    root: Path, damage: Callable[[Path], object], finding: tuple[str, str]
) -> None:
    damage(root)
    found = [problem for problem in verify(local_place(root)) if problem.kind != "orphan_file"]
    assert finding in [(problem.kind, problem.table) for problem in found]
    assert all("\n" not in problem.message for problem in found)


def test_a_run_that_lost_an_input(root: Path) -> None:
    row = {"run_id": "2", "inputs": 3, "indexed": 1, "skipped": 0, "failed": 1}
    table = pa.Table.from_pylist([row], schema=TABLES["runs"])
    write_deltalake(str(root / "runs"), table, mode="append")
    assert kinds(root) == [("count", "runs")]


def test_a_task_that_was_interrupted_is_unfinished(root: Path) -> None:
    row = VIDEO | {"unit": "frame", "unit_no": 0, "prompt_id": "new", "model_revision": "r"}
    table = pa.Table.from_pylist([row], schema=TABLES["answers"])
    with Lake(root) as lake:
        lake.land("answers", [Landing("local/v/s/r/new", 0, table)])
    assert kinds(root) == [("unfinished", "answers")]
    assert all(problem.harmless for problem in verify(local_place(root)))


def test_a_task_of_the_stream_that_is_not_whole_is_a_gap(root: Path) -> None:
    row = VIDEO | {"unit": "frame", "unit_no": 0, "prompt_id": "new", "model_revision": "r"}
    table = pa.Table.from_pylist([row], schema=TABLES["answers"])
    with Lake(root) as lake:
        lake.land("answers", [Landing("group/topic/3", 0, table)])
    assert kinds(root) == [("gap", "answers")]


def test_objects_of_the_stream_are_no_orphans(root: Path) -> None:
    for name in ("landings/g/t/0/1", "markers/v", "dead/g/t/0/7", "forgotten/v"):
        local_place(root).objects.put(name, b"x")
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

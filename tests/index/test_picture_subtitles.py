"""Subtitles that are pictures become lines with their time, whenever their text is asked for."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.stub_worker import Stub
from pipeline.consume import open_input
from pipeline.land.maintenance.compact import compact
from pipeline.land.maintenance.forget import forget
from pipeline.land.store import local_place
from pipeline.query.find import find
from pipeline.query.verify import verify
from schemas.jobs import TEXT
from tests import bitmaps
from tests.bitmaps import CLEAR, SIZE, film, shown, words
from tests.composed import given, index
from tests.conftest import rows, run

SECOND = 1_000_000
LINE = "The train leaves at nine"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    cues = [(2, shown(LINE)), (4.5, CLEAR), (8, shown("Mind the gap"))]
    return film(tmp_path / "film.mkv", [*cues, (11, CLEAR)])


def subtitles(lake: Path) -> list[tuple[object, ...]]:
    names = ("unit_no", "line_no", "start_us", "end_us", "text")
    found = [row for row in rows(lake, "lines") if row["source"] == "subtitle"]
    return [tuple(row[name] for name in names) for row in found]


TOLD = [
    (0, 0, 2 * SECOND, 4_500_000, LINE),
    (0, 1, 8 * SECOND, 10 * SECOND, "Mind the gap"),
    (1, 0, 10 * SECOND, 11 * SECOND, "Mind the gap"),
]


def test_they_land_and_are_found(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    path = film(tmp_path / "film.mkv", [(2, shown(LINE)), (4.5, CLEAR)], seconds=6)
    assert run("index", path, "--to", lake, "--tasks", "text").code == 0
    assert subtitles(lake) == TOLD[:1]
    row = next(row for row in rows(lake, "lines") if row["source"] == "subtitle")
    assert (row["model"], row["language"], row["script"]) == ("PP-OCRv6-small", "eng", "Latn")
    assert row["confidence"] > 0.9
    assert 0 < row["x0"] < row["x1"] < SIZE[0]
    assert 280 <= row["y0"] < row["y1"] <= SIZE[1]
    assert [row["warnings"] for row in rows(lake, "media")] == [[]]
    (hit,) = find(local_place(lake), "train nine")
    assert (hit.source, hit.t_us) == ("subtitle", 2 * SECOND)
    assert verify(local_place(lake)) == []


def test_asked_for_later_they_are_drawn_into_the_shards_that_are_kept(
    path: Path, tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    index(lake, given([open_input(path)], ()), Stub(0.0))
    assert rows(lake, "lines") == []
    ((warning,),) = [row["warnings"] for row in rows(lake, "media")]
    assert warning == "not_read: 1 subtitle track of pictures, which the task text reads"
    frames = rows(lake, "frames")
    index(lake, given([open_input(path)], (TEXT,)), Stub(0.0))
    assert subtitles(lake) == TOLD
    assert rows(lake, "frames") == frames
    place = local_place(lake)
    compact(place)
    assert subtitles(lake) == TOLD
    assert verify(place) == []
    forget(place, rows(lake, "media")[0]["media_id"])
    assert subtitles(lake) == []
    assert not list(lake.glob("shards/**/*.arrow"))


def test_what_cannot_be_read_is_counted(tmp_path: Path) -> None:
    dots = np.zeros((80, 300), np.uint8)
    dots[10:70:20, 10:290:20] = 2
    packets = [(1, bitmaps.dvb((dots, 100, 200))), (3, bitmaps.dvb((words("On time"), 9, 9)))]
    path = film(tmp_path / "a.ts", packets, "dvb_subtitle")
    lake = tmp_path / "lake"
    index(lake, given([open_input(path)], (TEXT,)), Stub(0.0))
    assert {text for *_, text in subtitles(lake)} == {"On time"}
    detail = "pictures of subtitles in segments from 0 on: 1"
    assert [row["warnings"] for row in rows(lake, "media")] == [[f"text_unread: {detail}"]]

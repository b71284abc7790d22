"""Indexing the samples: the rows say what the samples show."""

import json
import shutil
from pathlib import Path

import polars
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from pipeline.land.place import Place
from pipeline.query.sql import query
from schemas.tables import TABLES
from tests.conftest import FEW, SAMPLES, rows, run, tables
from tests.e2e.conftest import Indexed

TRUTH = json.loads((SAMPLES / "contents.json").read_text())


def test_every_sample_is_indexed(indexed: Indexed) -> None:
    assert indexed.result.code == 0, indexed.result.err
    said = "4 inputs = 4 indexed + 0 skipped + 0 failed"
    if indexed.mode != "local":
        said = "4 jobs sent, 0 inputs refused"
    assert said in indexed.result.out
    names = query(indexed.place, "select name, kind from media order by name").to_pylist()
    assert [(row["name"], row["kind"]) for row in names] == [
        ("phone.png", "image"),
        ("report.pdf", "document"),
        ("scenes.mkv", "video"),
        ("signs.pdf", "document"),
    ]


def answers(lake: Place, name: str, task: str) -> list[tuple[float | None, str]]:
    found = query(
        lake,
        "select a.t_s, a.answer from answers a join media using (media_id, sampling)"
        " where name = ? and task = ? order by unit_no",
        [name, task],
    )
    return [(row["t_s"], row["answer"]) for row in found.to_pylist()]


def test_shapes_are_named_at_their_seconds(indexed: Indexed) -> None:
    given = dict(answers(indexed.place, "scenes.mkv", "caption"))
    shown = [
        (second, scene["shows"])
        for scene in TRUTH["scenes.mkv"]["scenes"]
        if scene["kind"] == "shape"
        for second in range(scene["start_s"], scene["end_s"])
    ]
    right = [second for second, what in shown if given[float(second)] == what]
    assert len(right) >= 0.9 * len(shown), [(s, given[float(s)], w) for s, w in shown]


def test_text_is_read_at_its_seconds(indexed: Indexed) -> None:
    given = dict(answers(indexed.place, "scenes.mkv", "ocr"))
    shown = [
        (second, scene["shows"])
        for scene in TRUTH["scenes.mkv"]["scenes"]
        if scene["kind"] == "text"
        for second in range(scene["start_s"], scene["end_s"])
    ]
    right = [second for second, what in shown if given[float(second)] == what]
    assert len(right) >= 0.9 * len(shown), [(s, given[float(s)], w) for s, w in shown]


def test_lines_stand_on_the_screen_for_their_seconds(read: Indexed) -> None:
    found = query(
        read.place,
        "select text, start_us, end_us from lines_joined where source = 'recognised'",
    ).to_pylist()
    stands = {row["text"]: (row["start_us"] / 1e6, row["end_us"] / 1e6) for row in found}
    for scene in TRUTH["scenes.mkv"]["scenes"]:
        if scene["kind"] == "text":
            assert stands[scene["shows"]] == (scene["start_s"], scene["end_s"])


def test_show_has_the_lines_of_a_moment_and_of_a_page(read: Indexed) -> None:
    def texts(spot: str) -> list[str]:
        shown = read.run("show", read.location, spot, "--json").json
        return [line["text"] for line in shown["lines"] if line["source"] != "subtitle"]

    assert texts("scenes.mkv@00:09") == ["Chapter 1"]
    assert texts("report.pdf#2")[0] == "Stations"
    assert "8.00-12.00 s" in read.run("show", read.location, "scenes.mkv@00:09").out


def test_lines_of_pages_are_true(read: Indexed) -> None:
    """Of eight signs those whose scripts the recogniser knows; of the report its own text."""
    found = query(
        read.place,
        "select name, unit_no, source, text from lines join media using (media_id, sampling)"
        " where unit = 'page' order by name, unit_no, line_no",
    ).to_pylist()
    signs = {row["unit_no"]: row["text"] for row in found if row["name"] == "signs.pdf"}
    wanted = dict(enumerate(TRUTH["signs.pdf"]["signs"].values(), start=1))
    assert signs == {number: wanted[number] for number in signs}
    assert len(signs) >= 5
    report = [row for row in found if row["name"] == "report.pdf"]
    assert {row["source"] for row in report} == {"pdf"}
    for sentence in TRUTH["report.pdf"]["scripts"].values():
        assert sentence in [row["text"] for row in report]


def test_subtitles_are_text_of_their_segment(indexed: Indexed) -> None:
    segments = rows(indexed.place, "segments")
    for cue in TRUTH["scenes.mkv"]["cues"]:
        (holding,) = [one for one in segments if cue["text"] in one["subtitles"]]
        assert holding["start_s"] <= cue["start_s"] < holding["end_s"]


def test_eight_scripts_come_back_from_the_text_layer(indexed: Indexed) -> None:
    text = "\n".join(row["text"] for row in rows(indexed.place, "pages"))
    for language, sentence in TRUTH["report.pdf"]["scripts"].items():
        assert sentence in text, language


def test_signs_in_eight_scripts_are_read(indexed: Indexed) -> None:
    signs = TRUTH["signs.pdf"]["signs"]
    read = [answer for _, answer in answers(indexed.place, "signs.pdf", "ocr")]
    assert dict(zip(signs, read, strict=True)) == signs


def test_blank_page_never_reaches_the_model(indexed: Indexed) -> None:
    found = query(
        indexed.place,
        "select distinct unit_no, answer from answers where finish_reason = 'blank'",
    ).to_pylist()
    assert found == [{"unit_no": TRUTH["report.pdf"]["blank_page"], "answer": ""}]


def test_frame_times_are_exact(indexed: Indexed) -> None:
    for row in rows(indexed.place, "frames"):
        assert row["t_us"] == round(
            row["pts"] * row["time_base_num"] * 1_000_000 / row["time_base_den"]
        )


def test_same_rows_in_duckdb_polars_and_pyarrow(indexed: Indexed) -> None:
    lines = ["lines"] * indexed.has_lines
    for table in ("media", "segments", "frames", "pages", "answers", *lines):
        path, options = indexed.place.table(table), indexed.place.options()
        arrow = DeltaTable(path, storage_options=options).to_pyarrow_table()
        for name in ("max_retries", "retry_timeout"):  # deltalake's alone
            options.pop(name, None)
        by_polars = polars.read_delta(path, storage_options=options)
        by_duckdb = query(indexed.place, f"from {table}")
        assert arrow.num_rows == by_polars.height == by_duckdb.num_rows > 0
        assert arrow.schema.names == by_polars.columns == TABLES[table].names
        key = "t_us" if table == "frames" else "media_id"
        counts = pc.count_distinct(arrow[key]).as_py()
        assert counts == by_polars[key].n_unique() == pc.count_distinct(by_duckdb[key]).as_py()


def test_the_same_command_again_does_nothing(indexed: Indexed) -> None:
    before = tables(indexed.place)
    again = indexed.index("--json").json
    if indexed.mode == "local":
        assert (again["indexed"], again["skipped"], again["failed"]) == (0, 4, 0)
    assert tables(indexed.place) == before
    assert indexed.run("verify", indexed.location).code == 0


def test_every_mode_gives_the_same_rows(indexed: Indexed, local: Indexed) -> None:
    """But for run ids, times of day and latency."""
    wanted = tables(local.place)
    if not indexed.has_lines:
        wanted["lines"] = []
    assert tables(indexed.place) == wanted


@pytest.fixture
def copy(local: Indexed, tmp_path: Path) -> Path:
    return Path(shutil.copytree(local.location, tmp_path / "lake"))


def test_a_new_question_lands_answers_alone(copy: Path) -> None:
    before = tables(copy)
    question = "What colour is the shape?"
    done = run("index", *FEW, "--to", copy, "--ask", question, "--json").json
    assert done["indexed"] == 4
    after = tables(copy)
    for table in ("media", "segments", "frames", "pages"):
        assert after[table] == before[table]
    new = [row for row in after["answers"] if row not in before["answers"]]
    assert {row["prompt"] for row in new} == {question}
    assert len(new) == len(before["answers"]) / 2
    assert run("verify", copy).code == 0


def test_verify_finds_a_missing_shard(copy: Path) -> None:
    assert run("verify", copy).code == 0
    next((copy / "shards").rglob("*.arrow")).unlink()
    result = run("verify", copy, "--json")
    assert result.code == 4
    assert [problem["kind"] for problem in result.json] == ["missing_shard"]


def test_show_writes_the_picture(indexed: Indexed, tmp_path: Path) -> None:
    target = tmp_path / "frame.jpg"
    done = indexed.run(
        "show", indexed.location, "scenes.mkv@00:05.2", "--picture", target, "--json"
    )
    assert done.json["picture"]["t_us"] == 5_000_000
    assert target.read_bytes().startswith(b"\xff\xd8\xff")
    page = indexed.run("show", indexed.location, "report.pdf#2", "--json").json
    assert page["picture"]["page_no"] == 2
    assert "Harbour" in page["picture"]["text"]
    unknown = indexed.run("show", indexed.location, "nothing.mp4")
    assert unknown.code == 1
    assert "no such medium" in unknown.err


def test_status_knows_the_stream_and_the_graph(indexed: Indexed) -> None:
    found = indexed.run("status", indexed.location, "--json").json
    assert found["tables"]["media"] == 4
    stream = found.get("stream")
    if indexed.mode == "local":
        assert stream is None
        return
    assert (stream["lag"], stream["eta_s"]) == (0, 0)
    stages = (
        {"Encoder", "Decoder", "Recogniser", "Lander", "Graph"} if indexed.mode == "ray" else set()
    )
    assert {name for name, count in stream["graph"].items() if count == 1} == stages

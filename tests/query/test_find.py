"""Words are found in every script, with the medium and the time or page where they stand."""

from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.land.lake import open_lake
from pipeline.land.store import local_place
from pipeline.query.find import find
from pipeline.query.words import Words
from schemas.errors import SetupError
from schemas.tables import ANSWERS, LINES, MEDIA, PAGES, SEGMENTS
from tests.conftest import run
from tests.tables import append


def found(wanted: str, text: str) -> str | None:
    """What stands where the words were found."""
    snippet = Words(wanted).snippet(text)
    return None if snippet is None else snippet.text[snippet.start : snippet.end]


@pytest.mark.parametrize(
    ("wanted", "text", "hit"),
    [
        ("total", "The TOTAL is 5", "TOTAL"),
        ("total", "subtotals", None),
        ("tota*", "The totals are 5", "tota"),
        ("tota", "The totals are 5", None),
        ("due total", "total due", "total"),
        ("due paid", "total due", None),
        ('"due date"', "the due\n date: May", "due\n date"),
        ('"due date"', "due on this date", None),
        ("cafe", "un café noir", "café"),
        ("café", "un cafe\u0301 noir", "cafe\u0301"),
        ("STRASSE", "Große Straße 5", "Straße"),
        ("office", "the of\ufb01ce", "of\ufb01ce"),
        ("2026", "im Jahr ２０２６", "２０２６"),
        ("c++", "C and C++", "C"),
        ("出口", "请从东出口离开", "出口"),
        ("出口", "请从东出\n口离开", "出\n口"),
        ("出口", "入口", None),
        ("カメラ", "デジタルｶﾒﾗです", "ｶﾒﾗ"),
        ("かき", "がき", None),
        ("서울", "서울에서 만나요", "서울"),
        ("مدرسة", "في المَدْرَسَةِ الجديدة", "المَدْرَسَةِ"),
        ("كتاب", "والكتـاب هنا", "والكتـاب"),
        ("احمد", "أحمد", "أحمد"),
        ("тёплый", "теплый день", "теплый"),
        ("мой", "мои", None),
        ("Ελλάδα", "η ΕΛΛΑΔΑ", "ΕΛΛΑΔΑ"),
        ("việt", "Tiếng Việt", "Việt"),
    ],
)
def test_words(wanted: str, text: str, hit: str | None) -> None:
    assert found(wanted, text) == hit


@pytest.mark.parametrize("wanted", ["", "  ", '""', "*", "!?"])
def test_nothing_to_look_for(wanted: str) -> None:
    with pytest.raises(SetupError, match="give words to look for"):
        Words(wanted)


def test_a_snippet_begins_and_ends_with_whole_words() -> None:
    text = "Trains of the week before " + "late " * 9 + "harbour " + "early " * 9
    snippet = Words("harbour").snippet(text)
    assert snippet is not None
    assert snippet.text == ("late " * 7 + "harbour " + "early " * 6).strip()
    assert snippet.text[snippet.start : snippet.end] == "harbour"


def test_a_snippet_has_what_stands_around() -> None:
    text = "x" * 100 + " 出口 " + "y" * 100
    snippet = Words("出口").snippet(text)
    assert snippet is not None
    assert snippet.text in text
    assert len(snippet.text) == 2 + 2 * 40


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """A document, and a video with a subtitle and an answer, that speak of an exit."""
    one = {"sampling": "s", "uri": "/a.pdf", "media_id": "a"}
    two = {"sampling": "s", "uri": "/b.mp4", "media_id": "b"}
    said = {"text": None, "subtitles": "to the exit"}
    rows = {
        "media": [one | {"name": "a.pdf"}, two | {"name": "b.mp4"}],
        "pages": [one | {"page_no": n, "text": t} for n, t in [(1, "Exit 5"), (2, ""), (3, "x")]],
        "segments": [two | said | {"segment_no": 1, "start_us": 10_000_000}],
        "answers": [
            two
            | {"unit": "frame", "unit_no": 7, "t_us": 12_000_000, "task": "ocr", "answer": "EXIT"},
            one | {"unit": "page", "unit_no": 3, "task": "caption", "answer": "an exit sign"},
        ],
        "lines": [
            two | {"unit": "page", "unit_no": 9, "source": "recognised", "line_no": n, "text": t}
            for n, t in [(11, "stairs up"), (2, "stairs"), (7, "no stairs")]
        ],
    }
    schemas = {"media": MEDIA, "pages": PAGES, "segments": SEGMENTS, "answers": ANSWERS}
    schemas["lines"] = LINES
    with open_lake(tmp_path / "lake") as place:
        for name, some in rows.items():
            known = [{k: v for k, v in row.items() if k in schemas[name].names} for row in some]
            append(place, name, "a", 0, pa.Table.from_pylist(known, schema=schemas[name]))
    return tmp_path / "lake"


def test_a_hit_says_where_it_stands(lake: Path) -> None:
    hits = find(local_place(lake), "exit")
    assert [(hit.name, hit.source, hit.page_no, hit.t_us) for hit in hits] == [
        ("a.pdf", "page", 1, None),
        ("a.pdf", "caption", 3, None),
        ("b.mp4", "subtitle", None, 10_000_000),
        ("b.mp4", "ocr", None, 12_000_000),
    ]


def test_lines_of_a_page_come_in_reading_order(lake: Path) -> None:
    hits = find(local_place(lake), "stairs")
    assert [hit.snippet.text for hit in hits] == ["stairs", "no stairs", "stairs up"]


def test_the_command(lake: Path) -> None:
    shown = run("find", lake, "exit", "--limit", "3")
    assert shown.code == 0
    assert "a.pdf  page 3  caption  an exit sign" in shown.out
    assert "b.mp4  0:00:10  subtitle  to the exit" in shown.out
    assert "4 hits, the first 3 above" in shown.out
    as_json = run("find", lake, "exit", "--json").json
    assert [one["snippet"]["text"] for one in as_json][:2] == ["Exit 5", "an exit sign"]
    assert run("find", lake, "nowhere").out.strip() == "0 hits"
    assert run("find", lake, "?").code == 2

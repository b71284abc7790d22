"""The demo of the wheel alone shows what the samples hold, all true, in print as in JSON."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SAMPLES, Result, environment

pytestmark = pytest.mark.ci  # an installation, and a minute of reading

TRUTH: dict[str, Any] = json.loads((SAMPLES / "contents.json").read_text())
REPORT, RECEIPT, PHONE = TRUTH["report.pdf"], TRUTH["receipt.jpg"], TRUTH["phone.png"]
SLIDES = TRUTH["talk.mp4"]["slides"]
PAGES = {
    ("phone.png", 1): [PHONE["title"], *PHONE["rows"], *PHONE["buttons"]],
    ("receipt.jpg", 1): [
        *(RECEIPT["shop"], RECEIPT["date"]),
        *(word for item in [*RECEIPT["items"], RECEIPT["total"]] for word in item),
        RECEIPT["thanks"],
    ],
    ("report.pdf", 1): [line for both in REPORT["first_page"] for line in both],
    ("report.pdf", 2): [REPORT["table_heading"], *map(" ".join, REPORT["table"])],
    ("scan.pdf", 1): TRUTH["scan.pdf"]["lines"],
}
SIGNS = {
    ("signs.pdf", number): [sign]
    for number, sign in enumerate(TRUTH["signs.pdf"]["signs"].values(), start=1)
}
EVERY_LINE = " ".join(line for lines in PAGES.values() for line in lines)


@pytest.fixture(scope="module")
def printed(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """In an empty folder, by the first command of the README."""
    folder = tmp_path_factory.mktemp("demo")
    return folder, told_by(installed, folder, COLUMNS="1000")


@pytest.fixture(scope="module")
def told(installed: Path, printed: tuple[Path, Result]) -> Any:  # noqa: ANN401
    """The same as JSON, of the lake that is there already."""
    folder, result = printed
    assert result.code == 0, result.err
    return told_by(installed, folder, "--json").json


def told_by(command: Path, folder: Path, *options: str, **env: str) -> Result:
    done = subprocess.run(
        [command, "demo", *options],
        cwd=folder,
        env=environment(**env),
        capture_output=True,
        text=True,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def test_lines_of_pages_are_those_of_the_samples(told: Any) -> None:  # noqa: ANN401
    """All but of the signs, whose scripts are not all known; those that are shown are right."""
    shown = {(row["medium"], row["page"]): row["lines"].split(" · ") for row in told["pages"]}
    assert {spot: shown.pop(spot) for spot in PAGES} == PAGES
    assert len(shown) >= 5
    assert shown == {spot: SIGNS[spot] for spot in shown}


def test_slides_stand_for_their_seconds(told: Any) -> None:  # noqa: ANN401
    assert [(row["medium"], row["stands"], row["lines"]) for row in told["screen"]] == [
        (
            "talk.mp4",
            f"{slide['start_s']} s - {slide['end_s']} s",
            " · ".join([slide["title"], *slide["points"]]),
        )
        for slide in SLIDES
    ]


def test_words_are_found_where_they_are(told: Any) -> None:  # noqa: ANN401
    hits = [hit for found in told["found"].values() for hit in found]
    for hit in hits:
        text = " ".join(hit["snippet"]["text"].split())
        if hit["t_us"] is None:
            assert text in EVERY_LINE
        else:
            (slide,) = [one for one in SLIDES if one["start_s"] * 1_000_000 == hit["t_us"]]
            assert text in slide["points"]
    assert [hit["t_us"] for hit in told["found"]["ridership"]] == [20_000_000]
    media = {hit["name"] for hit in told["found"]["harbour"]}
    assert media == {"receipt.jpg", "report.pdf", "scan.pdf", "talk.mp4"}


def test_the_toy_names_the_shapes_and_nothing_else(told: Any) -> None:  # noqa: ANN401
    scenes = TRUTH["scenes.mkv"]["scenes"]
    assert [tuple(row.values()) for row in told["toy"]] == [
        ("scenes.mkv", f"{scene['start_s']} s - {scene['end_s'] - 1} s", scene["shows"])
        for scene in scenes
        if scene["kind"] == "shape"
    ]


def test_what_is_printed_is_what_json_holds(
    printed: tuple[Path, Result],
    told: Any,  # noqa: ANN401
) -> None:
    lines = printed[1].out.splitlines()
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if "│" in line]
    tables = [*told["pages"], *told["screen"], *told["toy"]]
    assert rows == [list(map(str, row.values())) for row in tables]
    hits = [hit for found in told["found"].values() for hit in found]
    shown = [line.split("  ", 3) for line in lines if line.startswith(tuple(TRUTH))]
    assert [(name, source, text) for name, _, source, text in shown] == [
        (hit["name"], hit["source"], " ".join(hit["snippet"]["text"].split("\n"))) for hit in hits
    ]

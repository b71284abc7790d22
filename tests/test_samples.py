"""The committed samples show what `samples/contents.json` claims."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pypdfium2
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.conftest import SAMPLES

TRUTH: dict[str, Any] = json.loads((SAMPLES / "contents.json").read_text())
VIDEO, DOCUMENT, SCREEN = TRUTH["scenes.mkv"], TRUTH["report.pdf"], TRUTH["phone.png"]
SIGNS = TRUTH["signs.pdf"]["signs"]
SLIDES, SCAN, RECEIPT = TRUTH["talk.mp4"]["slides"], TRUTH["scan.pdf"], TRUTH["receipt.jpg"]
MOST_BYTES = {
    "scenes.mkv": 400_000,
    "report.pdf": 300_000,
    "signs.pdf": 150_000,
    "phone.png": 150_000,
    "talk.mp4": 130_000,
    "scan.pdf": 70_000,
    "receipt.jpg": 50_000,
}
FPS, SIZE = 12, (448, 252)
COLOURS = {
    "red": (214, 40, 40),
    "blue": (40, 80, 210),
    "green": (40, 150, 60),
    "orange": (240, 130, 20),
}

Pixels = NDArray[np.int16]


def decoded(folder: Path, name: str = "scenes.mkv") -> dict[float, Pixels]:
    with av.open(str(folder / name)) as container:
        return {
            frame.time: frame.to_ndarray(format="rgb24").astype(np.int16)
            for frame in container.decode(video=0)
            if frame.time is not None
        }


@pytest.fixture(scope="module")
def frames() -> dict[float, Pixels]:
    return decoded(SAMPLES)


@pytest.fixture(scope="module")
def pages() -> list[tuple[str, float, float]]:
    """Text, width and height of each page."""
    with pypdfium2.PdfDocument(SAMPLES / "report.pdf") as document:
        return [(page.get_textpage().get_text_range(), *page.get_size()) for page in document]


@pytest.mark.parametrize("name", MOST_BYTES)
def test_samples_are_small(name: str) -> None:
    assert (SAMPLES / name).stat().st_size < MOST_BYTES[name]


def test_frames_come_at_their_rate(frames: dict[float, Pixels]) -> None:
    assert len(frames) == VIDEO["scenes"][-1]["end_s"] * FPS
    assert next(iter(frames.values())).shape == (SIZE[1], SIZE[0], 3)
    # Matroska counts in milliseconds.
    np.testing.assert_allclose(list(frames), np.arange(len(frames)) / FPS, atol=0.0006)


def test_picture_jumps_where_scenes_begin_and_only_there(frames: dict[float, Pixels]) -> None:
    jumps = [
        later
        for (_, before), (later, after) in pairwise(frames.items())
        if np.abs(after - before).mean() > 3
    ]
    assert jumps == [scene["start_s"] for scene in VIDEO["scenes"][1:]]


def test_scenes_follow_each_other() -> None:
    scenes = VIDEO["scenes"]
    assert scenes[0]["start_s"] == 0
    assert all(before["end_s"] == after["start_s"] for before, after in pairwise(scenes))
    assert all(len(one["shows"]) <= 12 for one in scenes if one["kind"] == "text")


@pytest.mark.parametrize("scene", VIDEO["scenes"], ids=lambda scene: scene["shows"])
def test_scene_shows_its_text_or_shape(frames: dict[float, Pixels], scene: dict[str, Any]) -> None:
    middle = frames[(scene["start_s"] + scene["end_s"]) / 2]
    marked = np.abs(middle - middle[0, 0]).max(axis=2) > 100
    drawn = np.median(middle[marked], axis=0)
    if scene["kind"] == "text":
        assert drawn.max() < 80
        rows = np.flatnonzero(marked.any(axis=1))
        assert 36 <= rows[-1] - rows[0] + 1 <= 56  # descenders included
    else:
        _, colour, _ = scene["shows"].split()
        assert np.abs(drawn - COLOURS[colour]).max() < 16


def test_shapes_move(frames: dict[float, Pixels]) -> None:
    for scene in VIDEO["scenes"]:
        first, last = frames[scene["start_s"]], frames[scene["end_s"] - 0.25]
        assert (np.abs(last - first).mean() > 3) == (scene["kind"] == "shape"), scene


def test_subtitles_have_their_times() -> None:
    with av.open(str(SAMPLES / "scenes.mkv")) as container:
        (track,) = container.streams.subtitles
        found = [
            (
                float(packet.pts * packet.time_base),
                float((packet.pts + packet.duration) * packet.time_base),
                bytes(packet).decode(),
            )
            for packet in container.demux(track)
            if packet.pts is not None and packet.duration is not None
        ]
    assert found == [(cue["start_s"], cue["end_s"], cue["text"]) for cue in VIDEO["cues"]]


def test_pages_are_counted_and_one_is_blank(pages: list[tuple[str, float, float]]) -> None:
    assert len(pages) == DOCUMENT["pages"]
    blank = [number for number, (text, _, _) in enumerate(pages, start=1) if not text.strip()]
    assert blank == [DOCUMENT["blank_page"]]
    with pypdfium2.PdfDocument(SAMPLES / "report.pdf") as document:
        picture = document[DOCUMENT["blank_page"] - 1].render(scale=0.5).to_numpy()
    assert picture.min() == 255


def test_last_page_alone_lies_on_its_side(pages: list[tuple[str, float, float]]) -> None:
    assert [width > height for _, width, height in pages] == [False] * (len(pages) - 1) + [True]


@pytest.mark.parametrize("language", DOCUMENT["scripts"])
def test_text_layer_holds_each_script(pages: list[tuple[str, float, float]], language: str) -> None:
    assert DOCUMENT["scripts"][language] in pages[2][0]


def test_text_layer_holds_the_table_in_order(pages: list[tuple[str, float, float]]) -> None:
    told = [DOCUMENT["table_heading"], *map(" ".join, DOCUMENT["table"])]
    assert pages[1][0].split() == " ".join(told).split()


def test_text_layer_holds_the_first_page(pages: list[tuple[str, float, float]]) -> None:
    assert pages[0][0].splitlines() == [line for both in DOCUMENT["first_page"] for line in both]


def test_screen_is_tall_with_a_button_for_each_label() -> None:
    with Image.open(SAMPLES / "phone.png") as image:
        assert image.size == (360, 1560)
        picture = np.asarray(image.convert("RGB")).astype(np.int16)
    left = picture[97:, 48].astype(int)  # below the title, inside cards and buttons
    coloured = np.ptp(left, axis=1) > 60
    assert np.count_nonzero(np.diff(coloured) & coloured[1:]) == len(SCREEN["buttons"])
    toggles = (picture[:, 296] == (140, 190, 250)).all(axis=1)
    assert np.count_nonzero(np.diff(toggles) & toggles[1:]) == len(SCREEN["rows"])


def test_signs_are_pictures_without_text() -> None:
    with pypdfium2.PdfDocument(SAMPLES / "signs.pdf") as document:
        assert len(document) == len(SIGNS)
        assert len(set(SIGNS.values())) == len(SIGNS)
        shown = [page.render(scale=1).to_numpy() for page in document]
        assert [page.get_textpage().get_text_bounded() for page in document] == [""] * len(SIGNS)
    assert all(picture.std() > 10 for picture in shown)
    assert all((one != other).any() for one, other in pairwise(shown))


@pytest.fixture(scope="module")
def talk() -> dict[float, Pixels]:
    return decoded(SAMPLES, "talk.mp4")


def bands(marked: NDArray[np.bool_], apart: int) -> int:
    """How many lines of text there are, between which as many rows or more are empty."""
    rows = np.flatnonzero(marked.any(axis=1))
    return 1 + int(np.count_nonzero(np.diff(rows) > apart))


def test_slides_stand_for_their_seconds(talk: dict[float, Pixels]) -> None:
    """And nothing of their lines moves before they go."""
    assert SLIDES[0]["start_s"] == 0
    assert all(before["end_s"] == after["start_s"] for before, after in pairwise(SLIDES))
    assert next(iter(talk.values())).shape == (720, 1280, 3)
    np.testing.assert_allclose(list(talk), np.arange(2 * SLIDES[-1]["end_s"]) / 2)
    jumps = [
        later
        for (_, before), (later, after) in pairwise(talk.items())
        if np.abs(after - before)[:, :900].mean() > 1
    ]
    assert jumps == [slide["start_s"] for slide in SLIDES[1:]]


@pytest.mark.parametrize("slide", SLIDES, ids=lambda slide: slide["title"])
def test_a_slide_shows_its_lines_beside_a_disc(
    talk: dict[float, Pixels], slide: dict[str, Any]
) -> None:
    first, last = talk[slide["start_s"]], talk[slide["end_s"] - 0.5]
    assert np.abs(last - first)[:, 900:].mean() > 3  # it has taken a step
    ink = (first[140:, :1000] < 120).all(axis=2)
    assert bands(ink, 20) == len(slide["points"])


def test_the_scan_is_a_grey_picture_askew() -> None:
    with pypdfium2.PdfDocument(SAMPLES / "scan.pdf") as document:
        (page,) = document
        assert page.get_textpage().get_text_bounded() == ""
        assert page.get_size() == pytest.approx((595, 842), abs=1)
        (picture,) = page.get_objects()
        assert picture.get_px_size() == (1240, 1754)
        shown = page.render(scale=150 / 72).to_pil().convert("L")
    rows = [np.asarray(shown.rotate(turn)).mean(axis=1)[200:1200] for turn in (-0.7, 0)]
    sharp, blurred = (np.abs(np.diff(one)).max() for one in rows)  # where lines begin and end
    assert sharp > 1.5 * blurred
    upright = np.asarray(shown.rotate(-0.7))[100:-100, 100:-100]
    assert bands(upright < 120, 4) == len(SCAN["lines"])


def test_the_receipt_is_narrow_and_adds_up() -> None:
    with Image.open(SAMPLES / "receipt.jpg") as image:
        assert image.width * 1.5 < image.height
        ink = np.asarray(image.convert("L")) < 110
    rule = 1
    assert bands(ink, 8) == 2 + len(RECEIPT["items"]) + rule + 2
    cents = [round(100 * float(price)) for _, price in RECEIPT["items"]]
    assert sum(cents) == round(100 * float(RECEIPT["total"][1]))

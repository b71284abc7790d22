"""Lines that are on pages and screens come out with their text, place and time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pipeline.decode import DecodePlan, Sampling, decode, pixels
from pipeline.recognise import Line, Read, Recogniser, TextReader, script_of, shard_text
from samples.typefaces import (
    NOTO_SANS,
    NOTO_SANS_ARABIC,
    NOTO_SANS_CHINESE,
    NOTO_SANS_JAPANESE,
    Typeface,
)
from schemas.errors import InputError
from schemas.shards import Shard

SECOND = 1_000_000
PLAN = DecodePlan(Sampling("rate", 1.0))
Lines = Sequence[tuple[int, int, str]]
Picture = NDArray[np.uint8]


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    return Recogniser(1)


class Counting:
    """A recogniser that counts the pictures that it reads."""

    width = 1

    def __init__(self, reader: Recogniser) -> None:
        self.reader, self.count = reader, 0

    def read(self, picture: Picture) -> list[Read]:
        self.count += 1
        return self.reader.read(picture)


def drawn(
    lines: Lines, face: Typeface = NOTO_SANS, size: tuple[int, int] = (800, 400)
) -> Image.Image:
    image = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(image)
    for x, y, text in lines:
        pen.text((x, y), text, "black", face.at(32))
    return image


def lines_of(path: Path, reader: TextReader) -> list[Line]:
    shards = [one for one in decode(path, PLAN) if isinstance(one, Shard)]
    return [line for shard in shards for line in shard_text(shard, pixels, reader).lines]


def test_a_page_is_read(tmp_path: Path, recogniser: Recogniser) -> None:
    told = [(40, 40, "Invoice 40718"), (40, 120, "Total due: 1,250.00"), (400, 300, "page 1 of 2")]
    drawn(told).save(tmp_path / "a.png")
    lines = lines_of(tmp_path / "a.png", recogniser)
    assert [line.text for line in lines] == [text for _, _, text in told]
    assert [line.line_no for line in lines] == [0, 1, 2]
    for line, (x, y, _) in zip(lines, told, strict=True):
        assert (line.unit, line.unit_no, line.source) == ("page", 1, "recognised")
        assert line.box is not None
        assert line.box[0] * 800 == pytest.approx(x, abs=8)
        assert line.box[1] * 400 == pytest.approx(y + 8, abs=14)
        assert (line.confidence or 0) > 0.9


@pytest.mark.parametrize(
    ("text", "face"),
    [
        ("出口在左边", NOTO_SANS_CHINESE),
        ("東京駅のホーム", NOTO_SANS_JAPANESE),
        ("こんにちは世界", NOTO_SANS_JAPANESE),
    ],
)
def test_han_and_kana_are_read(
    tmp_path: Path, recogniser: Recogniser, text: str, face: Typeface
) -> None:
    drawn([(40, 40, text)], face).save(tmp_path / "a.png")
    assert [line.text for line in lines_of(tmp_path / "a.png", recogniser)] == [text]


def clip(path: Path, shown: Sequence[Lines]) -> Path:
    """A second of each, two frames a second."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=2)
        stream.width, stream.height, stream.pix_fmt = 800, 400, "yuv420p"
        for number, lines in enumerate(shown):
            for half in range(2):
                frame = av.VideoFrame.from_image(drawn(lines))
                frame.pts = 2 * number + half
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_a_line_that_stays_is_one_line(tmp_path: Path, recogniser: Recogniser) -> None:
    """From when it appears until the first frame without it, cut where a segment ends."""
    title, first, second = (
        (40, 30, "Quarterly talk"),
        (40, 150, "Costs fall"),
        (40, 250, "Sales rise"),
    )
    shown = [[title]] * 2 + [[title, first]] * 3 + [[title, first, second]] * 6 + [[]] * 2
    counting = Counting(recogniser)
    lines = lines_of(clip(tmp_path / "talk.mp4", shown), counting)
    told = [(line.unit_no, line.text, line.start_us, line.end_us) for line in lines]
    assert told == [
        (0, "Quarterly talk", 0, 10 * SECOND),
        (0, "Costs fall", 2 * SECOND, 10 * SECOND),
        (0, "Sales rise", 5 * SECOND, 10 * SECOND),
        (1, "Quarterly talk", 10 * SECOND, 11 * SECOND),
        (1, "Costs fall", 10 * SECOND, 11 * SECOND),
        (1, "Sales rise", 10 * SECOND, 11 * SECOND),
    ]
    assert counting.count == 4  # what has not changed is not read again, nor what is blank


def test_words_of_a_pdf_are_its_own(tmp_path: Path) -> None:
    """Cropped and turned, their places are those on the page as it is shown."""

    class Nobody:
        width = 1

        def read(self, picture: Picture) -> list[Read]:
            pytest.fail("a page with text of its own is read")

    samples = Path(__file__).parents[2] / "samples"
    lines = lines_of(samples / "report.pdf", Nobody())
    side = next(line for line in lines if line.text == "This page lies on its side.")
    assert side.source == "pdf"
    assert side.box is not None
    assert 0 <= side.box[0] < side.box[2] <= 1
    assert 0 <= side.box[1] < side.box[3] <= 1


def test_a_scan_with_a_stamp_is_read(tmp_path: Path, recogniser: Recogniser) -> None:
    """A number that a scanner prints on each page is not the page's text."""
    from fpdf import FPDF

    drawn([(40, 40, "Contract of sale")]).save(tmp_path / "scan.png")
    document = FPDF(unit="pt", format=(400, 200))
    document.add_page()
    document.image(str(tmp_path / "scan.png"), 0, 0, 400, 200)
    document.set_font("helvetica", size=8)
    document.text(340, 195, "000017")
    document.output(str(tmp_path / "scan.pdf"))
    texts = [line.text for line in lines_of(tmp_path / "scan.pdf", recogniser)]
    assert texts == ["Contract of sale", "000017"]


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Gate 17", "Latn"),
        ("出口", "Hani"),
        ("東京のホーム", "Jpan"),
        ("выход", "Cyrl"),
        ("خروج", "Arab"),
        ("출구", "Kore"),
        ("12:30", None),
        ("", None),
    ],
)
def test_scripts(text: str, script: str | None) -> None:
    assert script_of(text) == script


def test_a_picture_that_is_none_is_a_failure_of_its_own(recogniser: Recogniser) -> None:
    with pytest.raises(InputError) as caught:
        recogniser.read(np.zeros((4, 4), np.uint8))  # type: ignore[arg-type]
    assert caught.value.code == "recognise_failed"


def test_what_cannot_be_read_is_counted(tmp_path: Path, recogniser: Recogniser) -> None:
    drawn([(40, 40, "مطار القاهرة")], NOTO_SANS_ARABIC).save(tmp_path / "a.png")
    drawn([(40, 40, "Gate 17")]).save(tmp_path / "b.png")
    texts = [
        shard_text(shard, pixels, recogniser)
        for name in ("a.png", "b.png")
        for shard in decode(tmp_path / name, PLAN)
        if isinstance(shard, Shard)
    ]
    assert [(len(text.lines), text.unread) for text in texts] == [(0, 1), (1, 0)]

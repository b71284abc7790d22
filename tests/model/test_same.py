"""A frame in which nothing is new is not asked about again; one that differs legibly always is."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pytest
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont

from benchmarks.asking import shard_answers
from pipeline.decode import DecodePlan, Sampling
from pipeline.decode.picture import picture_row
from pipeline.decode.plan import Limits
from pipeline.decode.video import Video
from pipeline.land.rows import Answer, Medium, answer_rows, to_table
from pipeline.vlm.clip import Item
from schemas.jobs import Task
from schemas.shards import PAGES, Shard
from services.model.same import alike
from services.model.wire import ServedModel

TASK = Task("caption", "Describe it.")
MODEL = ServedModel("stub", "r", 56 * 56, 768 * 784)
FONT = Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"

Draw = Callable[[ImageDraw.ImageDraw], None]


def words(text: str, size: int, grey: int = 0) -> Draw:
    font = ImageFont.truetype(FONT, size)
    return lambda draw: draw.text((560, 320), text, (grey, grey, grey), font=font)


def screen(draw: Draw) -> Image.Image:
    """A slide with something in its corner."""
    image = Image.new("RGB", (640, 360), (240, 240, 235))
    pen = ImageDraw.Draw(image)
    for line in range(6):
        words = f"What stays on the screen, line {line}"
        pen.text((40, 30 + 40 * line), words, (30, 30, 30), font=ImageFont.truetype(FONT, 22))
    draw(pen)
    return image


def filmed(path: Path, pictures: Sequence[Image.Image], quality: int = 23) -> Shard:
    """Each picture for a second, as H.264 of a quality (0 is lossless, 23 its default)."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        stream.options = {"preset": "veryfast", "crf": str(quality)}
        for index in range(5 * len(pictures)):
            frame = av.VideoFrame.from_image(pictures[index // 5])
            frame.pts, frame.time_base = index, Fraction(1, 5)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with path.open("rb") as file:
        items = Video(file, Limits()).shards(DecodePlan(Sampling("rate", 1.0)))
        [shard] = [item for item in items if isinstance(item, Shard)]
    return shard


def ask(shard: Shard) -> tuple[list[list[Answer]], int]:
    """Answers that are numbered, and how many were given."""
    count = 0

    def read(items: Sequence[Item], tasks: Sequence[Task]) -> list[list[Answer]]:
        nonlocal count
        count += len(items)
        return [[Answer(one, f"no. {n}", "stop", 9, 9, 9) for one in tasks] for n in range(count)]

    return shard_answers(shard, [TASK], read, MODEL), count


def nothing(_: ImageDraw.ImageDraw) -> None:
    """Draw nothing."""


def test_what_stays_is_asked_once_and_rows_say_whose_answer_they_have(tmp_path: Path) -> None:
    pictures = [screen(nothing)] * 4 + [screen(words("New", 16))] * 3
    shard = filmed(tmp_path / "a.mp4", pictures, quality=0)
    answers, count = ask(shard)
    assert count == 2
    rows = answer_rows(Medium("m", "s", "u", "r"), "video", shard, answers, ("", ""))
    table = to_table("answers", rows)
    found = table.select(["unit_no", "answer", "same_as", "output_tokens"]).to_pylist()
    assert [tuple(row.values()) for row in found] == [
        (0, "no. 0", None, 9),
        *((number, "no. 0", 0, 0) for number in (1, 2, 3)),
        (4, "no. 1", None, 9),
        *((number, "no. 1", 4, 0) for number in (5, 6)),
    ]


def test_what_the_encoder_mends_is_asked_once_more(tmp_path: Path) -> None:
    assert ask(filmed(tmp_path / "a.mp4", [screen(nothing)] * 7))[1] == 2


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (words("12:30:18", 9), words("12:30:19", 9)),
        (words("12:30:18", 12, 150), words("12:30:19", 12, 150)),
        (words("no", 12), words("on", 12)),
        (words("1.5", 12), words("1,5", 12)),
        (nothing, lambda pen: pen.line((300, 200, 300, 212), fill=(0, 0, 0))),
        (nothing, lambda pen: pen.polygon([(300, 200), (300, 212), (308, 209)], fill=(0, 0, 0))),
    ],
    ids=["clock", "grey clock", "word", "comma", "caret", "cursor"],
)
def test_what_can_be_read_is_always_asked(tmp_path: Path, before: Draw, after: Draw) -> None:
    pictures = [screen(before)] * 4 + [screen(after)]
    answers, _ = ask(filmed(tmp_path / "a.mp4", pictures))
    assert [one.same_as is None for (one,) in answers[2:]] == [False, False, True]


def test_slow_change_adds_up_and_what_is_blank_stands_between() -> None:
    greys = [np.full((28, 28, 3), 100 + 2 * step, np.uint8) for step in range(8)]
    assert alike(greys) == [0, 0, 0, 0, 4, 4, 4, 4]
    larger = np.zeros((56, 28, 3), np.uint8)
    assert alike([None, greys[0], None, greys[1], larger]) == [0, 1, 2, 1, 4]


def test_pages_that_look_the_same_are_each_asked() -> None:
    picture = picture_row(screen(nothing), width=640, lossless=True)
    facts = {"rotation": 0, "text": "", "lines": []}
    rows = [{"page_no": number, **facts, **picture} for number in (1, 2)]
    shard = Shard(0, 1, 3, pa.RecordBatch.from_pylist(rows, schema=PAGES))
    assert ask(shard)[1] == 2

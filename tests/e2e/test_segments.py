"""What is seen as motion alone is found by a question about segments, whoever runs the model."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image, ImageDraw

from pipeline.land.place import Place
from pipeline.land.store import local_place
from pipeline.query.find import find
from pipeline.query.verify import verify
from services.inspect.lake import parse_spot, show
from tests.conftest import rows, run
from tests.e2e.conftest import MODES, started
from tests.streams import StreamFactory

ASKED = "What happens?"
FOUND = "a blue circle moves right"
NEEDLE, SEGMENT_S, SEGMENTS = 1, 10, 2
"""The segment in which the circle moves; in the one before, it stands."""
SIZE, RADIUS = (112, 84), 14


@dataclass(frozen=True)
class Needle:
    """A lake of the video, of which every frame has been asked what happens."""

    place: Place
    ask: Callable[..., object]


@pytest.fixture(scope="module", params=MODES)
def needle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Needle:
    mode = str(request.param)
    if mode == "local":
        folder = tmp_path_factory.mktemp("segments")
        media, lake = _video(folder / "needle.mp4"), folder / "lake"

        def index(*options: str) -> object:
            return run("index", media, "--to", lake, *options, "--json").json

        made = Needle(local_place(lake), index)
    else:
        factory: StreamFactory = request.getfixturevalue("streams")
        stream = started(factory, mode, f"segments-{mode}")
        media = _video(stream.logs / "needle.mp4")

        def submit(*options: str) -> object:
            sent = stream.submit(media, *options)
            stream.wait()
            return sent

        made = Needle(stream.place, submit)
    made.ask("--tasks", "", "--ask", ASKED)
    return made


def test_motion_is_found_by_its_segment_and_by_no_frame(needle: Needle) -> None:
    frames = rows(needle.place, "answers")
    assert len(frames) == SEGMENTS * SEGMENT_S
    assert not [row for row in frames if "moves" in row["answer"]]

    needle.ask("--tasks", "segment-caption", "--ask", ASKED, "--ask-video", ASKED)
    answers = rows(needle.place, "answers")
    assert [row for row in answers if row["unit"] == "frame"] == frames, "they are not asked again"
    segments = [row for row in answers if row["unit"] == "segment"]
    starts = [number * SEGMENT_S * 1_000_000 for number in range(SEGMENTS + 1)]
    for task in ("ask", "segment-caption"):
        given = [row for row in segments if row["task"] == task]
        moves = [(row["unit_no"], row["answer"]) for row in given if "moves" in row["answer"]]
        assert moves == [(NEEDLE, FOUND)]
        times = [(row["unit_no"], row["start_us"], row["t_us"], row["end_us"]) for row in given]
        assert times == [(n, starts[n], starts[n], starts[n + 1]) for n in range(SEGMENTS)]

    assert not verify(needle.place)
    assert {hit.t_us for hit in find(needle.place, '"moves right"')} == {starts[NEEDLE]}
    shown = show(needle.place, parse_spot("needle.mp4@00:15"))["answers"]
    assert [(row["unit"], row["unit_no"]) for row in shown] == [
        ("frame", 15),
        *[("segment", NEEDLE)] * 2,
    ]


def _video(path: Path) -> Path:
    """h264 of four frames a second: a blue circle that stands, and moves to the right."""
    left, right = RADIUS + 2, SIZE[0] - RADIUS - 2
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=4)
        (stream.width, stream.height), stream.pix_fmt = SIZE, "yuv420p"
        for index in range(4 * SEGMENT_S * SEGMENTS):
            share = min(max(index / 4 - NEEDLE * SEGMENT_S, 0) / (SEGMENT_S - 1), 1)
            x, y = left + (right - left) * share, SIZE[1] // 2
            image = Image.new("RGB", SIZE, "white")
            box = (x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS)
            ImageDraw.Draw(image).ellipse(box, fill=(40, 80, 210))
            container.mux(stream.encode(av.VideoFrame.from_image(image)))
        container.mux(stream.encode(None))
    return path

"""A question about one moment of a video is answered with its second."""

from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

import pipeline.vlm
from pipeline.decode import DecodePlan, Sampling, decode, model_picture
from pipeline.encode import Encoder
from pipeline.generate import Generator, Prompt, WorkItem
from pipeline.land.store import local_place
from pipeline.query.sql import query
from pipeline.vlm.clip import Clip
from pipeline.vlm.template import clip_question
from schemas.shards import Shard
from tests.conftest import SAMPLES, run

NEEDLE_S, END_S = 7, 12
"""When a red circle appears in the made video, and how long it is."""
PIXELS = 6 * 28 * 28
"""Of a frame: small, so that the clip has no more visual tokens than those of the training."""
TINY = Path(pipeline.vlm.__file__).parent / "tiny"


def test_every_picture_is_asked(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    asked = "Is there an orange star?"
    question = ("--tasks", "", "--ask", asked)
    assert run("index", SAMPLES / "scenes.mkv", "--to", lake, *question).code == 0
    found = query(
        local_place(lake),
        "select min(t_s) as first, max(t_s) as last from answers where prompt = ? and answer = ?",
        [asked, "yes"],
    ).to_pylist()
    assert found == [{"first": 32.0, "last": 35.0}]


def test_a_clip_is_asked_when(tmp_path: Path) -> None:
    clip = Clip(_frames(_video(tmp_path / "needle.mp4")), 1.0)
    features = Encoder(TINY).encode([clip])
    asked = ("When does a red circle appear?", "When does a blue star appear?")
    prompts = [Prompt(clip_question(question, clip.fps)) for question in asked]
    ((when, absent),) = Generator(TINY).generate([WorkItem(features, prompts)])
    assert abs(int(when.text.removesuffix(" s")) - NEEDLE_S) <= 1, when.text
    assert absent.text == "not shown"


def _video(path: Path) -> Path:
    """h264 of four frames a second: white, then a red circle that stays."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=4)
        stream.width, stream.height, stream.pix_fmt = 252, 168, "yuv420p"
        for index in range(4 * END_S):
            image = Image.new("RGB", (252, 168), "white")
            if index >= 4 * NEEDLE_S:
                ImageDraw.Draw(image).ellipse((100, 50, 160, 110), fill=(214, 40, 40))
            container.mux(stream.encode(av.VideoFrame.from_image(image)))
        container.mux(stream.encode(None))
    return path


def _frames(video: Path) -> NDArray[np.uint8]:
    """One frame a second, as an ingest worker would hand them on."""
    plan = DecodePlan(Sampling("rate", 1.0))
    shards = [item for item in decode(video, plan) if isinstance(item, Shard)]
    rows = [row for shard in shards for row in shard.rows.to_pylist()]
    seen = [model_picture(row["image"], min_pixels=4 * 784, max_pixels=PIXELS) for row in rows]
    return np.stack(seen)

"""A question about one moment of a video is answered with its second."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import pipeline.vlm
from pipeline.decode import DecodePlan, Sampling, decode, pixels
from pipeline.encode import Clip, Encoder
from pipeline.generate import Generator, Prompt, WorkItem
from pipeline.query import query
from pipeline.store import local_place
from pipeline.vlm.template import clip_question
from schemas.shards import Shard
from tests.conftest import SAMPLES, run

BEGIN_S, NEEDLE_S, END_S = 28, 32, 40
"""Of `scenes.mkv`: a text, then from 32 s an orange star, then another text."""
PIXELS = 6 * 28 * 28
"""Of a frame: small, so that the clip has no more visual tokens than those of the training."""
TINY = Path(pipeline.vlm.__file__).parent / "tiny"


def test_every_picture_is_asked(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    asked = "Is there an orange star?"
    assert run("index", SAMPLES / "scenes.mkv", "--to", lake, "--ask", asked).code == 0
    found = query(
        local_place(lake),
        "select min(t_s) as first, max(t_s) as last from answers where prompt = ? and answer = ?",
        [asked, "yes"],
    ).to_pylist()
    assert found == [{"first": 32.0, "last": 35.0}]


def test_a_clip_is_asked_when() -> None:
    clip = Clip(_frames(BEGIN_S, END_S), 1.0)
    features = Encoder(TINY).encode([clip])
    prompt = Prompt(clip_question("When does an orange star appear?", clip.fps))
    ((answer,),) = Generator(TINY).generate([WorkItem(features, [prompt])])
    second = BEGIN_S + int(answer.text.removesuffix(" s"))
    assert abs(second - NEEDLE_S) <= 1, answer.text


def _frames(begin_s: int, end_s: int) -> NDArray[np.uint8]:
    plan = DecodePlan(Sampling("rate", 1.0), 4 * 28 * 28, PIXELS)
    shards = [item for item in decode(SAMPLES / "scenes.mkv", plan) if isinstance(item, Shard)]
    rows = [row for shard in shards for row in shard.rows.to_pylist()]
    return np.stack([pixels(row["image"]) for row in rows if begin_s <= row["t_us"] / 1e6 < end_s])

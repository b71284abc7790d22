"""A GPU reads what a CPU reads; run by `make test-gpu`."""

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.encode import Encoder
from pipeline.vlm.device import upload
from tests.conftest import SAMPLES, rows, run
from training.evaluate import TINY

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("device", ["cuda:0", "auto"])
def test_the_lines_of_the_samples_are_read(tmp_path: Path, device: str) -> None:
    scenes = json.loads((SAMPLES / "contents.json").read_text())["scenes.mkv"]["scenes"]
    lake = tmp_path / "lake"
    video = SAMPLES / "scenes.mkv"
    result = run("index", video, "--to", lake, "--tasks", "ocr", REELPAGE_DEVICE=device)
    assert result.code == 0, result.err
    found = {row["t_s"]: row["answer"] for row in rows(lake, "answers")}
    for scene in scenes:
        wanted = scene["shows"] if scene["kind"] == "text" else "no text"
        assert {found[t] for t in range(scene["start_s"], scene["end_s"])} == {wanted}


def test_features_are_those_of_a_processor() -> None:
    """Bfloat16 by the varlen kernel, beside float32 a picture at a time."""
    noise = np.random.default_rng(3)
    sizes = [(56, 84), (112, 56), (84, 84)]
    items = [noise.integers(0, 256, (*size, 3), np.uint8) for size in sizes]
    exact = Encoder(TINY).encode(items)
    for one, other in zip(Encoder(TINY, device="cuda:0").encode(items), exact, strict=True):
        there, here = upload(one.tokens, "cpu").float(), upload(other.tokens, "cpu")
        assert (there - here).abs().mean() < 0.05 * here.abs().mean()

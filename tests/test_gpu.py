"""A GPU reads what a CPU reads; run by `make test-gpu`."""

import json
from pathlib import Path

import pytest

from tests.conftest import SAMPLES, rows, run

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

"""`reelpage bench`: what a roof allows, and a whole measurement that a plan can read."""

from pathlib import Path

import pytest

from pipeline.vlm.checkpoint import load_language, load_vision, parameters
from services.bench.roofline import Roof
from services.checkpoints.found import checkpoint
from services.settings import Settings
from tests.conftest import run


def test_a_roof_is_the_lower_of_products_and_reads() -> None:
    roof = Roof(flops=1e12, bytes_s=1e10, width=2)
    assert roof.output_tokens(10**9, rows=1) == pytest.approx(5)  # 2 GB are read for each token
    assert roof.output_tokens(10**9, rows=64) == pytest.approx(320)
    assert roof.output_tokens(10**9, rows=1000) == pytest.approx(500)  # 2 GFLOP each
    assert roof.prompt_tokens(10**9) == pytest.approx(500)
    assert roof.visual_tokens(10**9) == pytest.approx(125)


def test_parameters_are_those_that_tokens_are_multiplied_by() -> None:
    import torch

    folder = checkpoint(Settings()).folder
    vision, language = parameters(folder)
    tower = load_vision(folder, "cpu", torch.float32)
    decoder = load_language(folder, "cpu", torch.float32)
    assert vision == sum(one.numel() for one in tower.parameters())
    layers = sum(one.numel() for one in decoder.model.layers.parameters())
    assert language == layers + decoder.head.weight.numel()


@pytest.mark.ci
def test_what_is_measured_can_be_planned_with(tmp_path: Path) -> None:
    measured = run("bench", "--json", REELPAGE_THREADS="1")
    assert measured.code == 0, measured.err
    rates = {one["stage"]: one["rate"] for one in measured.json["speeds"]}
    assert min(rates.values()) > 0
    assert rates["answer, 64 at a time"] > 2 * rates["answer, one at a time"]
    assert all(one["share"] is None or one["share"] < 1 for one in measured.json["speeds"])
    path = tmp_path / "bench.json"
    path.write_text(measured.out)
    fleet = run("plan", "--fleet", path, "--video-hours", "100", "--pages", "1000", "--json").json
    assert [one["name"] for one in fleet["stages"]] == ["decode", "encode", "generate", "land"]

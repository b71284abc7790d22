"""Pictures are kept at the size that was asked for, by both ways, and rows of sizes stay apart."""

from pathlib import Path

import pytest
from PIL import Image

from pipeline.decode import pixels
from schemas.errors import SetupError
from schemas.shards import Budget, Shard
from services.ingest.recipe import parse_plan, sized
from tests.conftest import SAMPLES, rows, run


@pytest.mark.ci
def test_pages_and_stills_are_kept_at_the_size_asked_for(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    Image.effect_noise((800, 400), 90).save(tmp_path / "still.png")
    given = ("index", SAMPLES / "signs.pdf", tmp_path / "still.png", "--to", lake, "--tasks", "")
    assert run(*given).code == 0
    assert run(*given, "--dpi", "75", "--width", "100").code == 0
    sizes = {row["sampling"].partition(" width=")[2] for row in rows(lake, "pages")}
    shown = "frame=768 page=2560 clip=16384 decoding=5"
    assert sizes == {f"1920 dpi=150 {shown}", f"100 dpi=75 {shown}"}
    kept = {
        (image.shape[1], image.shape[0])
        for path in lake.glob("shards/**/*.arrow")
        for image in map(pixels, Shard.from_ipc(path.read_bytes()).rows["image"].to_pylist())
    }
    assert kept == {(800, 400), (375, 208), (100, 50), (188, 104)}


@pytest.mark.parametrize(
    ("sample", "width", "dpi"),
    [("1fps", None, None), ("scene width=640", 640, None), ("16 width=64 dpi=600", 64, 600)],
)
def test_sizes_travel_with_the_sampling(sample: str, width: int | None, dpi: int | None) -> None:
    assert sized(sample.split(" ")[0], width, dpi) == sample
    plan = parse_plan(sample)
    assert (plan.width, plan.dpi) == (width or 1920, dpi or 150)


def test_budgets_travel_with_the_sampling() -> None:
    assert sized("1fps", None, 200, "frame=64, page=512") == "1fps dpi=200 frame=64 page=512"
    plan = parse_plan("scene page=512 width=640 clip=4096")
    assert (plan.width, plan.budget) == (640, Budget(768, 512, 4096))


@pytest.mark.parametrize(
    "sample",
    [
        *("1fps width=63", "1fps dpi=601", "1fps  dpi=72", "1fps width=", "1fps w=9"),
        *("1fps dpi=٣٠٠", "1fps page=3", "1fps frame=16385", "1fps clip", "1fps page=-1"),
    ],
)
def test_other_sizes_are_refused(sample: str) -> None:
    with pytest.raises(SetupError, match="--width 64 to 7680"):
        parse_plan(sample)

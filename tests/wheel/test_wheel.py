"""The wheel holds our packages, the model and nothing else."""

import zipfile
from pathlib import Path

from tests.conftest import ROOT, SAMPLES

LARGEST = 25 << 20
KINDS = (".jpg", ".mkv", ".mp4", ".pdf", ".png")
MEDIA = [path for path in SAMPLES.iterdir() if path.suffix in KINDS]


def test_top_level_is_ours_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        size = sum(entry.compress_size for entry in archive.infolist())
    top = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert top == {"pipeline", "services", "schemas", "reelpage.py"}
    assert "pipeline/vlm/tiny/model.safetensors" in names
    assert "pipeline/vlm/tiny/tokenizer.json" in names
    assert {f"services/cli/samples/{path.name}" for path in MEDIA} <= set(names)
    assert {f"{name}/py.typed" for name in ("pipeline", "services", "schemas")} <= set(names)
    assert size < LARGEST


def test_every_package_is_a_real_one() -> None:
    for package in ("pipeline", "services", "schemas"):
        for folder in {path.parent for path in (ROOT / package).rglob("*.py")}:
            assert (folder / "__init__.py").exists(), folder

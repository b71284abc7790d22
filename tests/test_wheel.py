"""The wheel holds our packages, the model and nothing else, and is enough alone."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT, SAMPLES, environment

LARGEST = 25 << 20
KINDS = (".jpg", ".mkv", ".mp4", ".pdf", ".png")
MEDIA = [path for path in SAMPLES.iterdir() if path.suffix in KINDS]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


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


@pytest.mark.ci
def test_the_wheel_alone_is_enough(wheel: Path, tmp_path: Path) -> None:
    """In an empty environment, by the first command of the README."""
    python = tmp_path / "environment" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "environment"], check=True)
    install = [python, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", wheel]
    subprocess.run(install, check=True)
    reelpage = python.with_name("reelpage")
    for arguments in (["demo"], ["query", "lake", "select text from lines"]):
        done = subprocess.run(
            [reelpage, *arguments], cwd=tmp_path, env=environment(), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    assert "Ridership grew 12 % in 2025" in done.stdout

"""Work that asks the model nothing needs no torch, which takes seconds to load."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import SAMPLES, run


@pytest.fixture
def broken(tmp_path: Path) -> dict[str, str]:
    """An environment in which torch cannot be imported."""
    folder = tmp_path / "shadow"
    folder.mkdir()
    (folder / "torch.py").write_text("raise ImportError('torch is not to be loaded')")
    env = {"PYTHONPATH": str(folder)}
    assert subprocess.run([sys.executable, "-c", "import torch"], env=env, check=False).returncode
    return env


def test_what_is_there_already(broken: dict[str, str], tmp_path: Path) -> None:
    given = ("index", SAMPLES / "phone.png", "--tasks", "caption", "--to", tmp_path / "lake")
    first = run(*given, "--json")
    assert first.json["indexed"] == 1, first.err
    again = run(*given, "--json", **broken)
    assert (again.code, again.json["skipped"]) == (0, 1), again.err


def test_no_question(broken: dict[str, str], tmp_path: Path) -> None:
    given = ("index", SAMPLES / "phone.png", "--tasks", "", "--to", tmp_path / "lake", "--json")
    result = run(*given, **broken)
    assert (result.code, result.json["indexed"]) == (0, 1), result.err

"""The command line: help, JSON everywhere, refusals."""

import json
from pathlib import Path

import pytest

from tests.conftest import ROOT, SAMPLES, run

COMMANDS = (
    *("index", "query", "show", "status", "errors", "retry", "verify", "doctor"),
    *("compact", "vacuum", "forget", "demo"),
)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_one_screen_and_offers_json(command: str) -> None:
    result = run(command, "--help")
    assert result.code == 0
    assert len(result.out.splitlines()) <= 24
    assert "--json" in result.out
    assert f"reelpage {command}" in (ROOT / "README.md").read_text()


def test_doctor_finds_this_installation_well() -> None:
    result = run("doctor", "--json")
    assert result.code == 0, result.out
    assert {check["name"] for check in result.json} >= {"packages", "codecs", "model", "memory"}


def test_plan_counts_before_anything_runs(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    plan = run("index", SAMPLES, "--to", lake, "--plan", "--json").json
    assert (plan["files"], plan["frames"], plan["pages"]) == (4, 40, 14)
    assert plan["visual_tokens"] > 0
    assert plan["seconds"] > 0
    assert not lake.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--sample", "often"], "--sample often"),
        (["--tasks", "dance"], "known are caption, ocr"),
        (["--model", "/nowhere"], "config.json"),
    ],
)
def test_wrong_options_are_refused_before_the_start(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    result = run("index", SAMPLES, "--to", tmp_path / "lake", *arguments)
    assert result.code == 2
    assert words in result.err
    assert not (tmp_path / "lake").exists()


def test_unknown_setting_is_refused() -> None:
    result = run("doctor", REELPAGE_MODLE="x")
    assert result.code == 2
    assert "REELPAGE_MODLE" in result.err


def test_paths_from_standard_input(tmp_path: Path) -> None:
    paths = f"{SAMPLES / 'phone.png'}\n"
    result = run("index", "-", "--to", tmp_path / "lake", "--json", text=paths)
    assert json.loads(result.out)["indexed"] == 1


def test_a_folder_that_hides_a_package_is_named(tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "__init__.py").touch()
    result = run("doctor", PYTHONPATH=str(tmp_path))
    assert result.code == 2
    assert str(tmp_path) in result.err

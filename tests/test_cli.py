"""The command line: help, JSON everywhere, refusals."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, SAMPLES, run

COMMANDS = (
    *("index", "query", "show", "status", "errors", "retry", "verify", "doctor"),
    *("compact", "vacuum", "forget", "demo", "bench", "plan"),
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
    names = {check["name"] for check in result.json}
    assert names >= {"packages", "codecs", "model", "memory", "sandbox", "landlock", "seccomp"}


def test_plan_counts_before_anything_runs(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    plan = run("index", SAMPLES, "--to", lake, "--plan", "--json").json
    assert (plan["files"], plan["frames"], plan["pages"]) == (7, 92, 16)
    assert plan["visual_tokens"] > 0
    assert plan["seconds"] > 0
    assert not lake.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--sample", "often"], "--sample often"),
        (["--tasks", "dance"], "known are text, caption, ocr"),
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


def test_a_fault_of_ours_has_an_exit_code_of_its_own() -> None:
    """Distinct from that of failed inputs, and told apart from a refusal."""
    code = """
import typer
from services.cli.main import run
app = typer.Typer(pretty_exceptions_enable=False)
@app.command()
def divide() -> None:
    1 / 0
run(app)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 70
    assert "ZeroDivisionError: division by zero" in done.stderr
    assert "a fault of reelpage (ZeroDivisionError); report it" in done.stderr.replace("\n", " ")
    assert "70 a fault of reelpage" in " ".join(run("--help").out.split())
    assert "70 a fault of reelpage" in " ".join((ROOT / "README.md").read_text().split())


def test_paths_from_standard_input(tmp_path: Path) -> None:
    paths = f"{SAMPLES / 'phone.png'}\n"
    result = run("index", "-", "--to", tmp_path / "lake", "--tasks", "", "--json", text=paths)
    assert json.loads(result.out)["indexed"] == 1


def test_a_folder_that_hides_a_package_is_named(tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "__init__.py").touch()
    result = run("doctor", PYTHONPATH=str(tmp_path))
    assert result.code == 2
    assert str(tmp_path) in result.err

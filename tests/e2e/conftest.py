"""An indexed lake of the samples, made once in every execution mode."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import SAMPLES, Result, run

MODES = ("local",)
"""Execution modes: in-process today; the stream's modes join here."""


@dataclass(frozen=True)
class Indexed:
    lake: Path
    result: Result


@pytest.fixture(scope="session", params=MODES)
def indexed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Indexed:
    lake = tmp_path_factory.mktemp(request.param) / "lake"
    return Indexed(lake, run("index", SAMPLES, "--to", lake))

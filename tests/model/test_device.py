"""Where the model runs when nobody says, and what is said where it cannot."""

from pathlib import Path

import pytest
import torch

from services.model.device import AUTO, resolve
from tests.conftest import CAPTION, SAMPLES, run


def test_auto_is_what_torch_reports() -> None:
    assert resolve(AUTO) == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("device", ["cpu", "cuda:1", "mps", "abacus"])
def test_a_named_device_is_left_alone(device: str) -> None:
    assert resolve(device) == device


def test_doctor_says_what_auto_is_here() -> None:
    found = run("doctor", "--json", REELPAGE_DEVICE=AUTO).json
    (device,) = (check for check in found if check["name"] == "device")
    assert device["ok"]
    assert device["found"].startswith(f"auto, here {resolve(AUTO)}, torch ")


@pytest.mark.parametrize("device", ["cuda:99", "abacus"])
def test_a_device_that_torch_cannot_use_is_one_line(device: str, tmp_path: Path) -> None:
    result = run(
        "index", SAMPLES / "phone.png", "--to", tmp_path / "lake", *CAPTION, "--device", device
    )
    assert result.code == 2
    assert result.err.startswith(f"device_missing: '{device}': torch cannot use this device")
    assert result.err.count("\n") == 1
    examined = run("doctor", REELPAGE_DEVICE=device)
    assert examined.code == 2
    assert f"BAD  device         '{device}': torch cannot use this device" in examined.out


def test_the_option_overrides_the_environment(tmp_path: Path) -> None:
    arguments = (SAMPLES / "phone.png", "--to", tmp_path / "lake", *CAPTION)
    result = run("index", *arguments, "--device", "cpu", REELPAGE_DEVICE="cuda:99")
    assert result.code == 0, result.err

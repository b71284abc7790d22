"""The committed samples are what their scripts make, the same in every run of them."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pypdfium2
import pytest
from PIL import Image

from tests.conftest import ROOT, SAMPLES
from tests.test_samples import MOST_BYTES, TRUTH, decoded

pytestmark = pytest.mark.ci  # half a minute of drawing


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The samples, made by two processes."""
    folders = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    for folder in folders:
        command = [sys.executable, "-m", "samples.make", str(folder)]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folders


@pytest.mark.parametrize("name", [*MOST_BYTES, "contents.json"])
def test_samples_are_made_to_the_same_bytes(made: tuple[Path, Path], name: str) -> None:
    one, two = made
    assert (one / name).read_bytes() == (two / name).read_bytes()


def test_the_truth_is_what_the_scripts_say(made: tuple[Path, Path]) -> None:
    assert json.loads((made[0] / "contents.json").read_text()) == TRUTH


# Not their bytes: those depend on the zlib of a machine too.


def test_the_screen_is_what_its_script_makes(made: tuple[Path, Path]) -> None:
    ours, theirs = (np.asarray(Image.open(folder / "phone.png")) for folder in (SAMPLES, made[0]))
    np.testing.assert_array_equal(ours, theirs)


def test_the_receipt_is_what_its_script_makes(made: tuple[Path, Path]) -> None:
    ours, theirs = (Image.open(folder / "receipt.jpg") for folder in (SAMPLES, made[0]))
    apart = np.asarray(ours).astype(np.int16) - np.asarray(theirs)
    assert np.abs(apart).mean() < 0.5


@pytest.mark.parametrize("name", ["report.pdf", "signs.pdf", "scan.pdf"])
def test_documents_are_what_their_scripts_make(made: tuple[Path, Path], name: str) -> None:
    ours, theirs = (pypdfium2.PdfDocument(folder / name) for folder in (SAMPLES, made[0]))
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert one.get_textpage().get_text_range() == other.get_textpage().get_text_range()
        apart = one.render().to_numpy().astype(np.int16) - other.render().to_numpy()
        assert np.abs(apart).mean() < (0.5 if name == "scan.pdf" else 1e-9)  # it holds a JPEG


@pytest.mark.parametrize("name", ["scenes.mkv", "talk.mp4"])
def test_videos_are_what_their_scripts_make(made: tuple[Path, Path], name: str) -> None:
    ours, theirs = decoded(SAMPLES, name), decoded(made[0], name)
    assert list(ours) == list(theirs)
    for time, picture in ours.items():
        assert np.abs(picture - theirs[time]).mean() < 0.5  # another CPU may round another way

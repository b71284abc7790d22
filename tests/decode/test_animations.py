"""Animations come out with the colours, the turn and the transparency of stills."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw

from pipeline.decode import pixels
from tests.decode.test_stills import CORNERS, adobe_rgb, corners, four, near, read

FORMS = ["gif", "png", "webp", "avif"]


def moving(path: Path, frames: list[Image.Image], **more: object) -> list[NDArray[np.uint8]]:
    """The pictures that come of an animation of a frame every tenth of a second."""
    first, *others = frames
    more |= {"lossless": True} if path.suffix == ".webp" else {}
    first.save(path, save_all=True, append_images=others, duration=100, **more)
    info, rows, _ = read(path)
    assert info.kind == "video"
    assert len(rows) == len(frames)
    return [pixels(row["image"]) for row in rows]


def written(colour: str, left: int) -> Image.Image:
    image = Image.new("RGBA", (160, 120), (255, 255, 255, 0))
    ImageDraw.Draw(image).rectangle((left, 40, left + 30, 80), colour)
    return image


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("colour", "below"), [("white", 0), ("black", 255), ("#203080", 255)])
def test_what_moves_on_transparency_is_seen(
    tmp_path: Path, form: str, colour: str, below: int
) -> None:
    frames = [written(colour, left) for left in (10, 50, 90)]
    for number, picture in enumerate(moving(tmp_path / f"a.{form}", frames)):
        assert near(picture[60, 25 + 40 * number], ImageColor.getrgb(colour))
        assert near(picture[110, 150], (below,) * 3)


@pytest.mark.parametrize("form", ["png", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_orientation_is_applied_once(tmp_path: Path, form: str, orientation: int) -> None:
    """The file holds what a camera's sensor saw; the corners are where a person sees them."""
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the inverse, as Pillow numbers transposes
    exif, frames = Image.Exif(), [four(), four().point(lambda value: value // 2)]
    exif[274] = orientation
    if orientation != 1:
        frames = [frame.transpose(Image.Transpose(undo[orientation])) for frame in frames]
    path = tmp_path / f"a.{form}"
    first, second = moving(path, frames, exif=exif)
    info = read(path)[0]
    assert (info.width, info.height) == (320, 240)
    for name, colour in CORNERS.items():
        assert near(corners(first)[name], colour, 8), name
        assert near(corners(second)[name], [value // 2 for value in colour], 8), name


@pytest.mark.parametrize("form", ["png", "webp", "avif"])
def test_a_profile_is_applied(tmp_path: Path, form: str) -> None:
    """(164, 37, 37) of Adobe RGB is the red of the corner in sRGB."""
    frames = [Image.new("RGB", (320, 240), (164, 37, 37)), Image.new("RGB", (320, 240), "white")]
    more: dict[str, Any] = {"quality": 100} if form == "avif" else {}
    first, second = moving(tmp_path / f"a.{form}", frames, icc_profile=adobe_rgb(), **more)
    assert near(first[100, 100], CORNERS["left"], 3)
    assert near(second[100, 100], (255, 255, 255), 3)

"""Images: every format and compression is read behind the walls, where nothing can be imported."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.decode import DecodePlan, Sampling, decode, model_picture, pixels
from pipeline.decode.picture import kept_size
from schemas.shards import MediaInfo, Shard

PLAN = DecodePlan(Sampling("rate", 10.0))
PICTURE = Image.fromarray(
    np.linspace(0, 255, 112 * 168 * 3).astype(np.uint8).reshape(112, 168, 3), "RGB"
)
TURNED = Image.Exif()
TURNED[274] = 6


@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        *((f"a.{form}", "RGB", {}) for form in ("png", "jpg", "gif", "webp", "tiff", "bmp")),
        *(
            ("a.tiff", "RGB", {"compression": way})
            for way in ("tiff_lzw", "tiff_deflate", "packbits", "jpeg", "zstd")
        ),
        ("a.tiff", "1", {"compression": "group4"}),
        ("a.mpo", "RGB", {"save_all": True, "append_images": [PICTURE]}),
        ("a.jpg", "RGB", {"exif": TURNED}),
        ("a.jpg", "RGB", {"progressive": True}),
        ("a.jpg", "CMYK", {}),
        ("a.png", "RGBA", {}),
        ("a.png", "P", {}),
        ("a.png", "L", {}),
        ("a.webp", "RGBA", {"lossless": True}),
    ],
)
def test_stills(tmp_path: Path, name: str, mode: str, options: dict[str, Any]) -> None:
    PICTURE.convert(mode).save(tmp_path / name, **options)
    info, shard = decode(tmp_path / name, PLAN)
    assert isinstance(info, MediaInfo)
    assert isinstance(shard, Shard)
    assert (info.kind, info.pages, shard.rows.num_rows) == ("image", 1, 1)
    found = pixels(shard.rows.column("image")[0].as_py())
    upright = (112, 168) if "exif" not in options else (168, 112)
    assert found.shape[:2] == upright
    assert found.min() < 60 < 190 < found.max()


@pytest.mark.parametrize("form", ["gif", "png", "webp"])
def test_animations(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"a.{form}"
    moved = [PICTURE.rotate(angle) for angle in (90, 180)]
    PICTURE.save(path, save_all=True, append_images=moved, duration=100)
    info, shard = decode(path, PLAN)
    assert isinstance(info, MediaInfo)
    assert isinstance(shard, Shard)
    assert info.kind == "video"
    assert shard.rows.column("t_us").to_pylist() == [0, 100_000, 200_000]


@pytest.mark.parametrize(
    ("size", "kept"),
    [
        ((640, 360), (640, 360)),
        ((1920, 1080), (1920, 1080)),
        ((3840, 2160), (1920, 1080)),
        ((1080, 1920), (1080, 1920)),
        ((1000, 60_000), (387, 23_238)),
        ((1, 1), (1, 1)),
    ],
)
def test_a_picture_is_kept_at_the_size_at_which_it_is_read(
    size: tuple[int, int], kept: tuple[int, int]
) -> None:
    assert kept_size(size, 1920) == kept


def test_a_photograph_is_no_png(tmp_path: Path) -> None:
    """Lossless, it would need more than three times the bytes."""
    noise = np.random.default_rng(1).integers(0, 256, (600, 800, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    drawn = Image.new("RGB", (800, 600), "white")
    drawn.paste((0, 0, 0), (100, 100, 300, 120))
    drawn.save(tmp_path / "drawn.png")
    forms = []
    for name in ("noise.png", "drawn.png"):
        _, shard = decode(tmp_path / name, PLAN)
        assert isinstance(shard, Shard)
        forms.append(shard.rows.column("image")[0].as_py()[:4])
    assert forms == [b"\xff\xd8\xff\xe0", b"\x89PNG"]


def test_the_model_sees_the_size_that_it_takes(tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "a.png")
    _, shard = decode(tmp_path / "a.png", PLAN)
    assert isinstance(shard, Shard)
    seen = model_picture(shard.rows.column("image")[0].as_py(), min_pixels=3136, max_pixels=7056)
    assert seen.shape == (56, 84, 3)

"""Images: every format and compression is read behind the walls, where nothing can be imported."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.decode import DecodePlan, Sampling, decode, pixels
from schemas.shards import MediaInfo, Shard

PLAN = DecodePlan(Sampling("rate", 10.0), 4 * 784, 24 * 784)
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

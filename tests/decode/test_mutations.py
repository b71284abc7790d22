"""Damaged media end as decoded or as an error with a code, and their parent lives."""

from collections import Counter
from pathlib import Path

import pytest

from schemas.errors import CODES
from services.machine import peak_memory
from tests.decode.test_formats import COLOURS, moving
from tests.fuzz import fuzz, grown, whole_media

pytestmark = pytest.mark.ci


def test_damaged_media_kill_nothing() -> None:
    """`make fuzz` does a thousand."""
    before, ends = peak_memory(), Counter(end for _, end in fuzz(whole_media(), 120, seed=7))
    assert ends.total() == 120
    assert set(ends) <= {"decoded", *CODES}
    assert ends["decoded"] > 10
    assert not ends["decoder_crashed"]
    assert grown(before) == 0


def test_each_format_is_damaged(tmp_path: Path) -> None:
    """Every container and codec that is allowed, a few times."""
    from PIL import Image

    paths = [
        moving(tmp_path / "a.mpg", "mpeg", "mpeg1video", "yuv420p"),
        moving(tmp_path / "a.wmv", "asf", "wmv2", "yuv420p"),
        moving(tmp_path / "a.mxf", "mxf", "mpeg2video", "yuv420p"),
        moving(tmp_path / "a.dv", "dv", "dvvideo", "yuv420p"),
        moving(tmp_path / "a.h264", "h264", "libx264", "yuv420p"),
        moving(tmp_path / "a.hevc", "hevc", "libx265", "yuv420p"),
        moving(tmp_path / "a.mkv", "matroska", "ffv1", "yuv420p"),
        moving(tmp_path / "a.mov", "mov", "dnxhd", "yuv422p"),
        moving(tmp_path / "a.avi", "avi", "huffyuv", "yuv422p"),
        moving(tmp_path / "b.mov", "mov", "png", "rgb24"),
        moving(tmp_path / "a.ts", "mpegts", "libx264", "yuv420p"),
        moving(tmp_path / "a.flv", "flv", "flv", "yuv420p"),
    ]
    for name in ("a.avif", "a.jp2", "a.ppm", "a.ico", "a.gif", "a.webp", "a.tif", "a.jpg", "a.tga"):
        Image.fromarray(COLOURS).save(tmp_path / name)
        paths.append(tmp_path / name)
    ends = Counter(end for _, end in fuzz(paths, 6 * len(paths), seed=11))
    assert set(ends) <= {"decoded", *CODES}
    assert ends["decoded"] > 10
    assert not ends["decoder_crashed"]

"""What is known to have gone wrong, in files after bug reports of other tools; true values.

The files are kept beside the repository; the tests of the kinds make variants of their own.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from pipeline.decode import DecodePlan, Sampling, decode, pixels
from schemas.errors import InputError
from schemas.shards import MediaInfo, MediaWarning, Shard
from tests.conftest import MEDIA

FAILING = MEDIA.parent / "failing"
RED, GREEN, BLUE, YELLOW = (192, 32, 32), (32, 160, 32), (32, 32, 192), (192, 192, 32)
WHITE, SECOND = (255, 255, 255), 1_000_000


@dataclass
class Truth:
    """What has to come out.

    Attributes:
        size: width and height as displayed; (0, 0) for documents.
        times: of the frames of each second, or their number; None for pages.
        corners: colours at the top left and bottom right of the first picture.
        warnings: their codes.
        text: all the text of pages, or the subtitles of segments.
        error: a code, and no medium.
        grey: the first picture's mean, from and to.
    """

    size: tuple[int, int] = (0, 0)
    times: list[float] | int | None = None
    corners: list[tuple[int, int, int]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    error: str = ""
    grey: tuple[float, float] = (0, 255)


TRUTHS = {
    "i01_rawlike.dng": Truth(error="unsupported_format"),
    "i02_pyramid.tif": Truth((1600, 1200), None, [RED, YELLOW], ["not_read"]),
    "i03_12bit.png": Truth((800, 600), None, [WHITE, WHITE], grey=(235, 252)),
    "i03_12bit.tif": Truth((400, 300), None, [WHITE, WHITE], grey=(235, 252)),
    "i03_int32.tif": Truth((400, 300), None, [WHITE, WHITE], grey=(235, 252)),
    "i03_miniswhite16.tif": Truth((400, 300), None, [WHITE, WHITE], grey=(235, 252)),
    "i03_rgbf32.tif": Truth(error="corrupt"),
    "i04_fax.tif": Truth((1728, 2379), None, [WHITE, WHITE]),
    "i05_big.tif": Truth((320, 240), None, [RED, YELLOW]),
    "i08_adobergb.png": Truth((320, 240), None, [RED, YELLOW]),
    "i13_o6.tif": Truth((240, 320), None, [BLUE, GREEN]),
    "i17_default.apng": Truth((160, 120), 3, [(255, 0, 0), (255, 0, 0)], ["not_read"]),
    "i20_badihdr.png": Truth(error="corrupt"),
    "p01_cropbox.pdf": Truth(text=["VISIBLE"]),
    "p02_ocg_off.pdf": Truth(text=["ALWAYS"]),
    "p03_form.pdf": Truth(text=["Name:\nCity:\nJANE SMITH\nPARIS TEXAS"]),
    "p04_xfa.pdf": Truth(warnings=["not_read"]),
    "p05_portfolio.pdf": Truth(warnings=["not_read"]),
    "p06_cjk_ja.pdf": Truth(warnings=["font_missing"], text=["請求書 合計 東京都"]),
    "p07_userunit.pdf": Truth(text=["HELLO UNIT"]),
    "v01_hflip.mp4": Truth((320, 240), 3, [GREEN, BLUE]),
    "v01_transpose.mp4": Truth((240, 320), 3, [RED, YELLOW]),
    "v02_crop.mkv": Truth((320, 120), 3, [RED, YELLOW]),
    "v04_pq.mp4": Truth((384, 192), 1, [(255, 0, 0), (200, 120, 60)]),
    "v10_concat.ts": Truth((320, 240), 24, warnings=["clock_jumped"]),
    "v10_concat_1fps.ts": Truth((320, 240), 24, warnings=["clock_jumped"]),
    "v10_gap10h.ts": Truth((160, 120), 10, warnings=["clock_jumped"]),
    "v12_midpacket.ts": Truth((320, 240), 12),
    "v13_204.ts": Truth((320, 240), 12),
    "v14_midgop_mpeg4.ts": Truth(
        (320, 240), [2.6, 3, 4, 5, 6, 7, 8, 9, 10], warnings=["frames_dropped"], grey=(110, 140)
    ),
    "v15_cat.mp4": Truth((320, 240), 3, [RED, YELLOW], ["not_read"]),
    "v16_segment.m4s": Truth(error="corrupt"),
    "v17_slides.mp4": Truth((320, 240), [0, 20, 40], [RED, YELLOW]),
    "v17_still10s.mp4": Truth((320, 240), [0], [RED, YELLOW]),
    "v18_two.mp4": Truth((320, 240), 3, [RED, YELLOW], ["not_read"]),
    "v20_late.mkv": Truth((320, 240), [5.023, 5.823, 6.823], [RED, YELLOW]),
    "v21_alpha.webm": Truth((320, 240), 1, [WHITE, WHITE], grey=(230, 250)),
    "v22_ass.mkv": Truth((320, 240), 3),
    "v22_srt.mkv": Truth((320, 240), 3),
    "v22_long.mkv": Truth((320, 240), 30),
    "v23_2000fps.mkv": Truth((160, 120), 1, warnings=["frames_dropped"]),
    "v24_h264b.avi": Truth((160, 120), 12),
    "v25_long_trail.mp4": Truth((160, 120), 25, warnings=["trailing_bytes"]),
    "v25_trail3.mp4": Truth((320, 240), 3, [RED, YELLOW], ["trailing_bytes"]),
}


def check(name: str, truth: Truth) -> None:
    plan = DecodePlan(Sampling("rate", 1.0))
    items = list(decode(FAILING / name, plan))
    info = next(one for one in items if isinstance(one, MediaInfo))
    shards = [one for one in items if isinstance(one, Shard)]
    rows: list[dict[str, Any]] = [row for one in shards for row in one.rows.to_pylist()]
    assert [one.code for one in items if isinstance(one, MediaWarning)] == truth.warnings
    assert (info.width, info.height) == truth.size
    if truth.times is not None:
        times = truth.times
        wanted = list(range(times)) if isinstance(times, int) else times
        assert [row["t_us"] for row in rows] == pytest.approx([t * SECOND for t in wanted], abs=9e4)
    if truth.text:
        assert [row["text"] for row in rows] == truth.text
    picture = pixels(rows[0]["image"]).astype(int)
    assert truth.grey[0] <= picture.mean() <= truth.grey[1]
    for place, colour in zip((5, -6), truth.corners, strict=False):
        assert np.abs(picture[place, place] - colour).max() <= 8


if FAILING.is_dir():

    @pytest.mark.parametrize("name", TRUTHS)
    def test_a_file_that_failed(name: str) -> None:
        truth = TRUTHS[name]
        if not truth.error:
            check(name, truth)
            return
        with pytest.raises(InputError) as caught:
            check(name, truth)
        assert caught.value.code == truth.error

    def test_every_file_has_its_truth() -> None:
        files = {path.name for path in FAILING.iterdir() if path.is_file()}
        assert files - {"README.md", "v03_interlaced.ts", "v08_sarchange.ts"} == set(TRUTHS)

    def test_fields_are_taken_apart() -> None:
        """A comb of 22 where they are woven."""
        [row] = rows_of("v03_interlaced.ts")
        grey = pixels(row["image"]).mean(axis=2)
        assert np.abs(2 * grey[1:-1] - grey[:-2] - grey[2:]).mean() < 6

    def test_the_second_half_is_wide() -> None:
        shapes = [row["width"] / row["height"] for row in rows_of("v08_sarchange.ts")]
        assert shapes == pytest.approx([4 / 3] * 3 + [16 / 9] * 3, rel=0.06)


def rows_of(name: str) -> list[dict[str, Any]]:
    plan = DecodePlan(Sampling("rate", 1.0))
    shards = [one for one in decode(FAILING / name, plan) if isinstance(one, Shard)]
    return [row for one in shards for row in one.rows.to_pylist()]

"""Decode: codecs, containers, exact times, resuming, and what must be refused."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.decode import DecodePlan, Sampling, decode, pixels
from pipeline.decode.picture import MOST_PIXELS
from schemas.errors import InputError
from schemas.shards import MediaInfo, Shard
from tests.conftest import SAMPLES

PLAN = DecodePlan(Sampling("rate", 2.0), segment_us=2_000_000)
BASE = Fraction(1, 1000)


def picture(index: int) -> np.ndarray:
    image = np.full((112, 168, 3), 230, dtype=np.uint8)
    image[20:90, 4 * index % 120 : 4 * index % 120 + 40] = (200, 30, 30)
    return image


def clip(path: Path, codec: str, times_ms: list[int], form: str | None = None) -> Path:
    """Encode moving squares at the given presentation times."""
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 168, 112, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 25) if codec == "mpeg4" else BASE
        for index, time in enumerate(times_ms):
            frame = av.VideoFrame.from_ndarray(picture(index), format="rgb24")
            frame.time_base, frame.pts = BASE, time
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def times(shards: list[Shard]) -> list[int]:
    return [t for shard in shards for t in shard.rows.column("t_us").to_pylist()]


def read(path: Path, plan: DecodePlan = PLAN) -> tuple[MediaInfo, list[Shard]]:
    info, *rest = decode(path, plan)
    assert isinstance(info, MediaInfo)
    return info, [item for item in rest if isinstance(item, Shard)]


REGULAR = [40 * index for index in range(125)]


@pytest.mark.parametrize(
    ("codec", "name"),
    [
        ("libx264", "a.mp4"),
        ("libx264", "a.mkv"),
        ("libx264", "a.ts"),
        ("libx265", "a.mp4"),
        ("libvpx", "a.webm"),
        ("libvpx-vp9", "a.webm"),
        ("libsvtav1", "a.mkv"),
        ("mpeg4", "a.avi"),
        ("mpeg4", "a.mp4"),
    ],
)
def test_codecs_and_containers(tmp_path: Path, codec: str, name: str) -> None:
    info, shards = read(clip(tmp_path / name, codec, REGULAR))
    assert (info.kind, info.width, info.height) == ("video", 168, 112)
    assert times(shards) == [480_000 * (k % 2) + 1_000_000 * (k // 2) for k in range(10)]
    assert [shard.part for shard in shards] == [0, 1, 2]
    first = pixels(shards[0].rows.column("image")[0].as_py())
    assert abs(int(first[50, 20, 0]) - 200) < 25


def test_variable_rate_and_offset_start(tmp_path: Path) -> None:
    """A target shows the last frame presented by then; times count from the first frame."""
    irregular = [3000 + t for t in (0, 130, 480, 510, 999, 1004, 1700, 3100, 3120, 5200)]
    _, shards = read(clip(tmp_path / "odd.mkv", "libx264", irregular))
    assert times(shards) == [0, 480_000, 999_000, 1_004_000, 1_700_000, 3_120_000]


def test_resuming_gives_the_same_parts(tmp_path: Path) -> None:
    path = clip(tmp_path / "long.mp4", "libx264", REGULAR)
    _, whole = read(path)
    for first in range(1, len(whole)):
        plan = replace(PLAN, first_part=first)
        _, rest = read(path, plan)
        assert rest == whole[first:]


def test_count_and_scene_sampling() -> None:
    _, counted = read(SAMPLES / "scenes.mkv", DecodePlan(Sampling("count", 8)))
    assert len(times(counted)) == 8
    _, cut = read(SAMPLES / "scenes.mkv", DecodePlan(Sampling("scene")))
    assert 5 <= len(times(cut)) <= 12


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    return clip(tmp_path / "secret.mp4", "libx264", REGULAR[:25])


@pytest.mark.parametrize("name", ["list.m3u8", "list.mp4", "list.mkv"])
def test_playlists_reach_no_other_file(tmp_path: Path, secret: Path, name: str) -> None:
    for text in (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile {secret.name}\n",
        "v=0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    ):
        path = tmp_path / name
        path.write_text(text)
        with pytest.raises(InputError) as caught:
            list(decode(path, PLAN))
        assert caught.value.code == "unsupported_format"


def pdf(*objects: bytes) -> bytes:
    """A document of hand-made objects with a right cross-reference table."""
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table)
    trailer = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
    return out + end + trailer % (len(objects) + 1, len(out))


def test_an_enormous_page_is_rendered_small(tmp_path: Path) -> None:
    path = tmp_path / "wide.pdf"
    path.write_bytes(
        pdf(
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 20000 20000] >>",
        )
    )
    _, (shard,) = read(path)
    assert shard.rows.column("is_blank").to_pylist() == [True]
    assert shard.rows.column("width")[0].as_py() ** 2 <= MOST_PIXELS

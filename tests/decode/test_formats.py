"""What people have is read: containers, codecs and kinds of images, each behind the walls."""

from base64 import b64decode
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from pipeline.consume import MEDIA_SUFFIXES
from pipeline.decode import DecodePlan, Sampling, decode, pixels
from pipeline.decode.sniff import sniff
from schemas.errors import InputError
from schemas.shards import MediaInfo, MediaWarning, Shard

PLAN = DecodePlan(Sampling("rate", 1.0))
WIDE, HIGH = 352, 288
SECOND = 1_000_000


def moving(path: Path, form: str, codec: str, pixel_format: str, rate: int = 25) -> Path:
    """Three seconds that grow lighter."""
    size = (720, 576) if codec == "dvvideo" else (WIDE, HIGH)
    if codec == "dnxhd":
        size = (1280, 720)
    with av.open(str(path), "w", format=form) as container:
        stream: Any = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, pixel_format
        if codec == "dnxhd":
            stream.options = {"profile": "dnxhr_sq"}
        for number in range(3 * rate):
            picture = np.full((size[1], size[0], 3), 40 + 2 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
                format=pixel_format
            )
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "form", "codec", "pixel_format"),
    [
        ("a.mpg", "mpeg", "mpeg1video", "yuv420p"),
        ("a.vob", "vob", "mpeg2video", "yuv420p"),
        ("a.m2v", "mpeg2video", "mpeg2video", "yuv420p"),
        ("a.wmv", "asf", "wmv2", "yuv420p"),
        ("a.asf", "asf", "msmpeg4", "yuv420p"),
        ("a.mxf", "mxf", "mpeg2video", "yuv420p"),
        ("a.dv", "dv", "dvvideo", "yuv420p"),
        ("a.h264", "h264", "libx264", "yuv420p"),
        ("a.hevc", "hevc", "libx265", "yuv420p"),
        ("a.y4m", "yuv4mpegpipe", "rawvideo", "yuv420p"),
        ("a.mkv", "matroska", "ffv1", "yuv420p"),
        ("a.mov", "mov", "dnxhd", "yuv422p"),
        ("a.avi", "avi", "huffyuv", "yuv422p"),
        ("b.avi", "avi", "ffvhuff", "yuv420p"),
        ("c.avi", "avi", "rawvideo", "yuv420p"),
        ("d.avi", "avi", "mjpeg", "yuvj420p"),
        ("b.mov", "mov", "png", "rgb24"),
    ],
)
def test_a_video(tmp_path: Path, name: str, form: str, codec: str, pixel_format: str) -> None:
    info, *rest = decode(moving(tmp_path / name, form, codec, pixel_format), PLAN)
    assert isinstance(info, MediaInfo)
    rows = [row for one in rest if isinstance(one, Shard) for row in one.rows.to_pylist()]
    assert [round(row["t_us"] / SECOND, 1) for row in rows] == [0, 1, 2]
    greys = [pixels(row["image"]).mean() for row in rows]
    assert greys == pytest.approx([40, 90, 140], abs=8)
    assert [one for one in rest if isinstance(one, MediaWarning)] == []


COLOURS = np.zeros((60, 80, 3), np.uint8)
COLOURS[:, :40], COLOURS[:, 40:] = (200, 40, 40), (40, 40, 200)


@pytest.mark.parametrize(
    ("name", "form", "options"),
    [
        ("a.avif", "AVIF", {"quality": 95}),
        ("a.jp2", "JPEG2000", {}),
        ("a.j2k", "JPEG2000", {"no_jp2": True}),
        ("a.ppm", "PPM", {}),
        ("a.ico", "ICO", {"sizes": [(80, 60)]}),
        ("a.tga", "TGA", {}),
        ("b.tga", "TGA", {"compression": "tga_rle"}),
    ],
)
def test_an_image(tmp_path: Path, name: str, form: str, options: dict[str, Any]) -> None:
    path = tmp_path / name
    Image.fromarray(COLOURS).save(path, form, **options)
    check_image(path)
    assert path.suffix in MEDIA_SUFFIXES


def check_image(path: Path) -> None:
    info, shard = decode(path, PLAN)
    assert isinstance(info, MediaInfo)
    assert isinstance(shard, Shard)
    assert (info.kind, info.width, info.height) == ("image", 80, 60)
    seen = pixels(shard.rows.column("image")[0].as_py()).astype(int)
    assert np.abs(seen[30, 20] - (200, 40, 40)).max() < 12
    assert np.abs(seen[30, 60] - (40, 40, 200)).max() < 12


HEIC = """
    AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAX1tZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAA
    AAAAAAAAACJpbG9jAAAAAERAAAEAAQAAAAABoQABAAAAAAAAAE4AAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABo
    dmMxAAAAAA5waXRtAAAAAAABAAAA/WlwcnAAAADdaXBjbwAAAHZodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEA
    GEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQAqQgEBA3AAAAMAkAAAAwAAAwAeoCiBBZbq5Ka5uAhoMCAAAAMDIAAA
    AwAhYgABAAZEAcFzwYkAAAATY29scm5jbHgAAQANAAaAAAAAFGlzcGUAAAAAAAAAUAAAAEAAAAAoY2xhcAAAAFAAAAAB
    AAAAPAAAAAEAAAAAAAAAAv////wAAAACAAAAEHBpeGkAAAAAAwgICAAAABhpcG1hAAAAAAAAAAEAAQWBAgMFhAAAAFZt
    ZGF0AAAASigBrwnRsoA5IyS///jSf//39B5D9gnHDX3FB2a/7M/O8i2/95gj3QdIE6nmB0H43gUxZFDvd3RLIoDhInvD
    XULcdnSnWVmtkAlW
"""
"""The same colours as a phone writes them; what reads HEIC here writes none."""


def test_a_picture_of_a_phone(tmp_path: Path) -> None:
    path = tmp_path / "a.heic"
    path.write_bytes(b64decode("".join(HEIC.split())))
    check_image(path)


def test_a_grey_map_of_text(tmp_path: Path) -> None:
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P2\n4 2\n255\n0 0 255 255\n0 0 255 255\n")
    _, shard = decode(path, PLAN)
    assert isinstance(shard, Shard)
    assert pixels(shard.rows.column("image")[0].as_py())[0, :, 0].tolist() == [0, 0, 255, 255]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("way", [None, "tga_rle"])
def test_each_kind_of_tga(tmp_path: Path, mode: str, way: str | None) -> None:
    if mode == "1" and way:
        return  # run lengths are of bytes
    image = Image.fromarray(COLOURS).convert("L" if mode in ("1", "LA") else mode)
    image.convert(mode).save(tmp_path / "a.tga", compression=way)
    info, shard = decode(tmp_path / "a.tga", PLAN)
    assert isinstance(info, MediaInfo)
    assert isinstance(shard, Shard)
    assert (info.container, info.width, info.height) == ("tga", 80, 60)
    seen = pixels(shard.rows.column("image")[0].as_py()).astype(int)
    wanted = np.asarray(image.convert(mode).convert("RGB")).astype(int)
    assert np.abs(seen - wanted).max() < 12


@pytest.mark.parametrize(("bits", "alpha"), [(0, 0), (8, 255)])
def test_what_a_tga_calls_no_alpha_is_none(tmp_path: Path, bits: int, alpha: int) -> None:
    """Many writers leave the fourth byte of a pixel 0."""
    picture = Image.fromarray(COLOURS)
    picture.putalpha(alpha)
    picture.save(tmp_path / "a.tga")
    whole = bytearray((tmp_path / "a.tga").read_bytes())
    whole[17] = whole[17] & 0xF0 | bits
    (tmp_path / "a.tga").write_bytes(whole)
    check_image(tmp_path / "a.tga")


@pytest.mark.parametrize("way", [None, "tga_rle"])
def test_a_tga_that_is_cut(tmp_path: Path, way: str | None) -> None:
    chance = np.random.default_rng(1).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    Image.fromarray(chance).save(tmp_path / "a.tga", compression=way)
    whole = (tmp_path / "a.tga").read_bytes()
    (tmp_path / "a.tga").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError) as caught:
        list(decode(tmp_path / "a.tga", PLAN))
    assert caught.value.code == "truncated"


def test_what_could_be_a_tga_is_told_apart() -> None:
    """Each has a kind of picture and a depth that a TGA may have, but for one field."""
    good = bytes([0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 80, 0, 60, 0, 24, 0])
    assert sniff(good) == "image"
    for place, value in [(1, 2), (2, 4), (3, 1), (5, 1), (7, 24), (16, 23), (17, 64), (17, 9)]:
        bad = bytearray(good)
        bad[place] = value
        with pytest.raises(InputError):
            sniff(bytes(bad))
    for place in (12, 14):
        with pytest.raises(InputError):
            sniff(good[:place] + b"\0\0" + good[place + 2 :])


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"\xff\x0a", "JPEG XL image.*djxl to PNG"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL image.*djxl to PNG"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "before 2007, or one with a password.*as PDF"),
    ],
)
def test_what_is_known_and_not_read_says_what_to_do(
    tmp_path: Path, head: bytes, words: str
) -> None:
    (tmp_path / "a").write_bytes(head.ljust(5000, b"\0"))
    with pytest.raises(InputError, match=words) as caught:
        list(decode(tmp_path / "a", PLAN))
    assert caught.value.code == "unsupported_format"

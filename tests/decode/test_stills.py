"""Stills come out with the shape, the colours and the number of pictures that they really have."""

import struct
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any
from zlib import compress, crc32

import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageDraw
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from pipeline.decode import DecodePlan, Sampling, decode, pixels
from schemas.errors import InputError
from schemas.shards import MediaInfo, Shard

PLAN = DecodePlan(Sampling("rate", 10.0))
CORNERS = {"left": (192, 32, 32), "right": (32, 160, 32), "low": (32, 32, 192)}
RAMP = np.tile(np.arange(256, dtype=np.uint8), (128, 1))


def four(width: int = 320, height: int = 240) -> Image.Image:
    """Three coloured corners on grey: red above left, green above right, blue below left."""
    image = Image.new("RGB", (width, height), "#808080")
    draw = ImageDraw.Draw(image)
    w, h = width // 2, height // 2
    for corner, box in zip(CORNERS.values(), [(0, 0), (w, 0), (0, h)], strict=True):
        draw.rectangle((*box, box[0] + w - 1, box[1] + h - 1), corner)
    return image


def read(path: Path) -> tuple[MediaInfo, list[dict[str, Any]], NDArray[np.uint8]]:
    """Facts, all rows, and the first picture."""
    info, *rest = decode(path, PLAN)
    assert isinstance(info, MediaInfo)
    rows = [row for one in rest if isinstance(one, Shard) for row in one.rows.to_pylist()]
    return info, rows, pixels(rows[0]["image"])


def corners(picture: NDArray[np.uint8]) -> dict[str, tuple[int, ...]]:
    places = {"left": (8, 8), "right": (8, -8), "low": (-8, 8)}
    return {name: tuple(map(int, picture[place])) for name, place in places.items()}


def near(found: object, wanted: object, by: int = 4) -> bool:
    return bool(np.allclose(np.asarray(found, int), np.asarray(wanted, int), atol=by))


def tags(**values: int) -> ImageFileDirectory_v2:
    """Tags of a TIFF, by their numbers."""
    made = ImageFileDirectory_v2()
    for name, value in values.items():
        made[int(name[1:])] = value
    return made


@pytest.mark.parametrize("form", ["tiff", "png", "jpg", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_orientation_is_applied_once(tmp_path: Path, form: str, orientation: int) -> None:
    """The file holds what a camera's sensor saw; the corners are where a person sees them."""
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the inverse, as Pillow numbers transposes
    shown, exif = four(), Image.Exif()
    stored = shown if orientation == 1 else shown.transpose(Image.Transpose(undo[orientation]))
    exif[274] = orientation
    path = tmp_path / f"a.{form}"
    more = {"lossless": True} if form == "webp" else {"quality": 100} if form == "jpg" else {}
    stored.save(path, exif=exif, **more)
    info, (row,), picture = read(path)
    assert (info.width, info.height) == (320, 240)
    assert row["width"] > row["height"]
    for name, colour in corners(picture).items():
        assert near(colour, CORNERS[name], 8), name


@pytest.mark.parametrize("form", ["png", "tiff"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_deep_grey_is_judged_by_the_bits_that_it_uses(tmp_path: Path, form: str, bits: int) -> None:
    top = (1 << bits) - 1
    values = (RAMP.astype(np.float64) * top / 255).round().astype(np.uint16)
    Image.fromarray(values).save(tmp_path / f"a.{form}")
    _, (row,), picture = read(tmp_path / f"a.{form}")
    assert not row["is_blank"]
    assert near(picture[64, [4, picture.shape[1] // 2, -4], 0], [4, 128, 251], 6)


def png_of_16_bits(values: NDArray[np.uint16]) -> bytes:
    """Grey with alpha, RGB or RGBA; nothing here writes those with 16 bits but hands."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc32(kind + data))

    height, width, bands = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[bands], 0, 0, 0)
    chunks = chunk(b"IHDR", head) + chunk(b"IDAT", compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def tiff_of_16_bits(values: NDArray[np.uint16], way: str) -> bytes:
    """By FFmpeg: RGB or RGBA, compressed in some way."""
    codec = VideoCodecContext.create("tiff", "w")
    codec.height, codec.width, bands = values.shape
    codec.pix_fmt = "rgb48le" if bands == 3 else "rgba64le"
    codec.time_base, codec.options = Fraction(1, 25), {"compression_algo": way}
    frame = VideoFrame.from_ndarray(values, format=codec.pix_fmt)
    return b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)])


def coloured(top: int, bands: int) -> NDArray[np.uint16]:
    """A ramp of each channel up to a value, each channel its own way; alpha is all there."""
    ramp = np.tile(np.linspace(0, top, 256).round().astype(np.uint16), (128, 1))
    values = np.dstack([ramp, ramp[:, ::-1], np.full_like(ramp, top // 2)])
    values = values[..., :1] if bands == 2 else values
    return np.dstack([values, np.full_like(ramp, 65535)]) if bands in (2, 4) else values


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize(
    "form", ["png 2", "png 3", "png 4", "raw 3", "lzw 3", "lzw 4", "deflate 3"]
)
def test_deep_colours_are_judged_by_the_bits_that_they_use(
    tmp_path: Path, form: str, bits: int
) -> None:
    way, bands = form.split()
    values = coloured((1 << bits) - 1, int(bands))
    whole = png_of_16_bits(values) if way == "png" else tiff_of_16_bits(values, way)
    (tmp_path / "a").write_bytes(whole)
    _, (row,), picture = read(tmp_path / "a")
    assert not row["is_blank"]
    left, right = ([4, 251, 127], [251, 4, 127]) if bands != "2" else ([4] * 3, [251] * 3)
    assert near(picture[64, 4], left, 3)
    assert near(picture[64, 251], right, 3)


def test_a_dark_photograph_of_16_bits_stays_dark(tmp_path: Path) -> None:
    """No camera writes 15 bits: what is below half of white is so because it is dark."""
    (tmp_path / "a.png").write_bytes(png_of_16_bits(coloured(30_000, 3)))
    assert near(read(tmp_path / "a.png")[2][64, 251], [115, 2, 58], 3)


@pytest.mark.parametrize(("step", "is_blank"), [(3, True), (4000, False)])
def test_a_full_stop_of_12_bits_is_no_noise(tmp_path: Path, step: int, is_blank: bool) -> None:
    values = np.full((120, 160, 3), 4095, np.uint16)
    values[60:62, 80:82] -= step
    (tmp_path / "a.png").write_bytes(png_of_16_bits(values))
    assert read(tmp_path / "a.png")[1][0]["is_blank"] == is_blank


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        (np.int32, 0, 2040),
        (np.int32, -400, 8848),
        (np.int32, 0, 2**31 - 1),
        (np.float32, 0, 1),
        (np.float32, 0, 255),
        (np.float32, -11_000.5, 8848.9),
        (np.float32, 1e-6, 3e-6),
    ],
)
def test_numbers_of_any_range_are_seen(
    tmp_path: Path, kind: type[np.generic], low: float, high: float
) -> None:
    values = (low + RAMP.astype(np.float64) * (high - low) / 255).astype(kind)
    if kind is np.float32:
        values[0, 0] = np.nan
    Image.fromarray(values).save(tmp_path / "a.tiff")
    _, (row,), picture = read(tmp_path / "a.tiff")
    assert not row["is_blank"]
    assert picture[64, 4, 0] < 10
    assert picture[64, -4, 0] > 240


@pytest.mark.parametrize("mode", ["1", "L", "I;16"])
def test_white_is_zero(tmp_path: Path, mode: str) -> None:
    """The same picture by either photometric interpretation."""
    grey = np.tile(np.linspace(0, 65535, 256).astype(np.uint16), (128, 1))
    image = Image.fromarray(grey) if mode == "I;16" else Image.fromarray(RAMP).convert(mode)
    stored = image
    if mode == "I;16":
        stored = Image.fromarray(65535 - grey)
    stored.save(tmp_path / "a.tiff", tiffinfo=tags(_262=0))
    picture = read(tmp_path / "a.tiff")[2]
    assert picture[64, 4:30].mean() < 40
    assert picture[64, -30:-4].mean() > 215


def test_a_faxes_pixels_are_oblong(tmp_path: Path) -> None:
    image = Image.new("1", (1728, 1143), 1)
    ImageDraw.Draw(image).rectangle((100, 100, 300, 200), 0)
    image.save(tmp_path / "a.tiff", dpi=(204, 98), compression="group3")
    info, (row,), _ = read(tmp_path / "a.tiff")
    assert (info.width, info.height) == (1728, round(1143 * 204 / 98))
    assert row["height"] / row["width"] == pytest.approx(1143 / 98 / (1728 / 204), rel=0.03)


def test_a_png_may_say_the_shape_of_its_pixels(tmp_path: Path) -> None:
    four().save(tmp_path / "a.png", dpi=(144, 72))
    info, _, _ = read(tmp_path / "a.png")
    assert (info.width, info.height) == (320, 480)


@pytest.mark.parametrize("tag", ["_254", "_255"])
def test_smaller_versions_and_masks_are_no_pages(tmp_path: Path, tag: str) -> None:
    smaller = [four(160 >> n, 120 >> n) for n in range(3)]
    for one in smaller:
        one.encoderinfo = {"tiffinfo": tags(**{tag: 1 if tag == "_254" else 2})}
    four().save(tmp_path / "a.tiff", save_all=True, append_images=smaller)
    info, rows, _ = read(tmp_path / "a.tiff")
    assert (info.pages, len(rows), info.width) == (1, 1, 320)


def test_pages_of_a_tiff_are_all_there(tmp_path: Path) -> None:
    four().save(tmp_path / "a.tiff", save_all=True, append_images=[four(160, 120), four()])
    info, rows, _ = read(tmp_path / "a.tiff")
    assert (info.pages, [row["page_no"] for row in rows]) == (3, [1, 2, 3])


def test_a_big_tiff(tmp_path: Path) -> None:
    four().save(tmp_path / "a.tiff", big_tiff=True)
    assert (tmp_path / "a.tiff").read_bytes()[2] == 43
    assert near(corners(read(tmp_path / "a.tiff")[2])["left"], CORNERS["left"])


@pytest.mark.parametrize("text", ["white", "black", "#c02020"])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_stands_on_transparency_is_seen(tmp_path: Path, text: str, mode: str) -> None:
    image = Image.new("RGBA", (320, 240), (255, 255, 255, 0) if text == "white" else (0, 0, 0, 0))
    ImageDraw.Draw(image).rectangle((100, 100, 220, 140), text)
    image.convert(mode).save(tmp_path / "a.png")
    _, (row,), picture = read(tmp_path / "a.png")
    assert not row["is_blank"]
    middle, edge = (picture[y, x].astype(int) for y, x in ((120, 160), (10, 10)))
    assert np.abs(middle - edge).max() > 100


def test_a_dark_logo_stays_on_white(tmp_path: Path) -> None:
    image = Image.new("RGBA", (320, 240), (0, 0, 0, 0))
    ImageDraw.Draw(image).ellipse((100, 60, 220, 180), "#203080")
    image.save(tmp_path / "a.png")
    assert near(read(tmp_path / "a.png")[2][5, 5], (255, 255, 255), 0)


def adobe_rgb() -> bytes:
    """A profile of three primaries and a gamma, by hand (ICC.1:2001-04, Adobe RGB (1998))."""

    def fixed(*values: float) -> bytes:
        return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))

    primaries = {
        b"rXYZ": (0.60974, 0.31111, 0.01947),
        b"gXYZ": (0.20528, 0.62567, 0.06087),
        b"bXYZ": (0.14919, 0.06322, 0.74457),
        b"wtpt": (0.9642, 1.0, 0.8249),
    }
    values = {name: b"XYZ \0\0\0\0" + fixed(*xyz) for name, xyz in primaries.items()}
    gamma = b"curv\0\0\0\0" + struct.pack(">IHxx", 1, 563)  # in 256ths
    values |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), gamma)
    table, data, at = b"", b"", 128 + 4 + 12 * len(values)
    for name, value in values.items():
        table += name + struct.pack(">II", at + len(data), len(value))
        data += value
    body = struct.pack(">I", len(values)) + table + data
    kinds = (b"test", 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    head = struct.pack(">I4sI4s4s4s", 128 + len(body), *kinds).ljust(36, b"\0") + b"acsp"
    return head.ljust(68, b"\0") + fixed(0.9642, 1.0, 0.8249).ljust(60, b"\0") + body


@pytest.mark.parametrize("form", ["png", "jpg", "tiff", "webp"])
def test_a_profile_is_applied(tmp_path: Path, form: str) -> None:
    """(164, 37, 37) of Adobe RGB is the red of the corner in sRGB."""
    image = Image.new("RGB", (320, 240), (164, 37, 37))
    more: dict[str, Any] = {"quality": 100, "subsampling": 0} if form == "jpg" else {}
    more |= {"lossless": True} if form == "webp" else {}
    image.save(tmp_path / f"a.{form}", icc_profile=adobe_rgb(), **more)
    assert near(read(tmp_path / f"a.{form}")[2][100, 100], CORNERS["left"], 3)


def test_a_profile_of_another_space_is_left_alone(tmp_path: Path) -> None:
    other = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    four().save(tmp_path / "a.png", icc_profile=other)
    assert near(corners(read(tmp_path / "a.png")[2])["left"], CORNERS["left"], 1)


@pytest.mark.parametrize("form", ["png", "jpg", "tiff", "webp"])
def test_a_damaged_profile_costs_nothing(tmp_path: Path, form: str) -> None:
    whole = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    chance = np.random.default_rng(7)
    for number in range(12):
        data = bytearray(whole)
        for place in chance.integers(0, len(data), 40):
            data[place] = int(chance.integers(256))
        path = tmp_path / f"{number}.{form}"
        four().save(path, icc_profile=bytes(data[: int(chance.integers(130, len(data)))]))
        assert read(path)[2].shape[1] > 300


def test_lab_is_a_colour_space(tmp_path: Path) -> None:
    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    lab = ImageCms.applyTransform(four(), to_lab)
    assert lab is not None
    lab.save(tmp_path / "a.tiff")
    for name, colour in corners(read(tmp_path / "a.tiff")[2]).items():
        assert near(colour, CORNERS[name], 10)


def test_the_substitute_of_an_animation_is_no_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (160, 120), colour) for colour in ("red", "green", "blue")]
    Image.new("RGB", (160, 120), "black").save(
        tmp_path / "a.png", save_all=True, default_image=True, append_images=frames, duration=1000
    )
    info, *rest = decode(tmp_path / "a.png", PLAN)
    (shard,) = (one for one in rest if isinstance(one, Shard))
    assert isinstance(info, MediaInfo)
    assert shard.rows.column("t_us").to_pylist() == [0, 1_000_000, 2_000_000]
    first = pixels(shard.rows.column("image")[0].as_py())
    assert near(first[60, 80], (254, 0, 0))
    assert shard.end == 3_000_000, "the last one is shown as long as the others"


@pytest.mark.parametrize("form", ["png", "gif", "jpg", "tiff", "webp", "bmp"])
def test_a_bad_header_is_said_in_a_line(tmp_path: Path, form: str) -> None:
    buffer = BytesIO()
    four(64, 48).save(buffer, "JPEG" if form == "jpg" else form)
    whole, chance = buffer.getvalue(), np.random.default_rng(3)
    seen = set()
    for number in range(25):
        data = bytearray(whole)
        for place in chance.integers(4, min(60, len(data)), 6):
            data[place] = int(chance.integers(256))
        path = tmp_path / f"{number}.{form}"
        path.write_bytes(data)
        try:
            read(path)
        except InputError as error:
            seen.add(error.code)
    assert seen
    assert seen <= {"corrupt", "truncated", "too_large", "aspect_ratio", "unsupported_format"}


def test_a_narrow_range_of_deep_values_is_seen(tmp_path: Path) -> None:
    """As a camera of heat has it: all its values are one grey of 256."""
    warm = (29_300 + RAMP.astype(np.uint16) * 4).astype(np.uint16)
    flat = (29_300 + RAMP.astype(np.uint16) // 8).astype(np.uint16)  # noise, by all that is known
    Image.fromarray(warm).save(tmp_path / "warm.tiff")
    Image.fromarray(flat).save(tmp_path / "flat.tiff")
    assert not read(tmp_path / "warm.tiff")[1][0]["is_blank"]
    assert read(tmp_path / "flat.tiff")[1][0]["is_blank"]

"""Frames look as a player shows them: crop, fields, HDR, transparency."""

import gc
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest

from pipeline.decode import DecodePlan, Sampling, decode, pixels
from pipeline.decode.crop import Crop, crops_of
from pipeline.decode.plan import Limits
from pipeline.decode.video import Video
from schemas.shards import MediaInfo, Shard

WIDE, HIGH = 320, 192
PLAN = DecodePlan(Sampling("rate", 1.0))
Picture = np.ndarray[Any, Any]


def shown(path: Path) -> tuple[MediaInfo, list[Picture]]:
    info, *rest = decode(path, PLAN)
    assert isinstance(info, MediaInfo)
    rows = [row for one in rest if isinstance(one, Shard) for row in one.rows.to_pylist()]
    return info, [pixels(row["image"]) for row in rows]


def write(
    path: Path,
    codec: str,
    pictures: list[Picture],
    coded: str,
    given: str = "rgb24",
    **more: object,
) -> Path:
    """One frame a second; `more` is set on the encoder."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(
            codec, rate=1, options=cast("dict[str, str]", more.pop("options", {}))
        )
        height, width = pictures[0].shape[:2]
        stream.width, stream.height, stream.pix_fmt = width, height, coded
        for name, value in more.items():
            setattr(stream.codec_context, name, value)
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format=given)
            if given == "rgb24" or given == "rgba":
                frame = frame.reformat(format=coded)
            for name in ("color_trc", "color_primaries", "colorspace", "color_range"):
                if name in more:
                    setattr(frame, name, more[name])
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def framed() -> Picture:
    """Grey, with edges of red at the left, green at the top, blue at the right, black below."""
    picture = np.full((HIGH, WIDE, 3), 128, np.uint8)
    picture[:32], picture[-48:] = (0, 200, 0), 0
    picture[:, :16], picture[:, -64:] = (200, 0, 0), (0, 0, 200)
    return picture


def element(kind: int, body: bytes) -> bytes:
    head = kind.to_bytes((kind.bit_length() + 7) // 8, "big")
    return head + (len(body) | 1 << 56).to_bytes(8, "big") + body


def cropped_matroska(path: Path) -> Path:
    """With PixelCrop in the track's video."""
    write(path, "mpeg4", [framed()], "yuv420p")
    edges = [(0x54CC, 16), (0x54BB, 32), (0x54DD, 64), (0x54AA, 48)]
    more = b"".join(element(kind, bytes([value])) for kind, value in edges)
    path.write_bytes(grown(path.read_bytes(), [0x18538067, 0x1654AE6B, 0xAE, 0xE0], more))
    return path


def grown(data: bytes, way: list[int], more: bytes) -> bytes:
    """A list of EBML elements, one of which, in that in that ..., has more in it."""
    if not way:
        return data + more
    at = 0
    while True:
        octets = 9 - data[at].bit_length()
        size = 9 - data[at + octets].bit_length()
        start = at + octets + size
        number = int.from_bytes(data[at + octets : start], "big") & ((1 << 7 * size) - 1)
        if int.from_bytes(data[at : at + octets], "big") == way[0]:
            inner = grown(data[start : start + number], way[1:], more)
            return data[:at] + element(way[0], inner) + data[start + number :]
        at = start + number


def cropped_movie(path: Path) -> Path:
    """A clean aperture of 240 x 112, its centre 24 to the left of and 8 above the picture's."""
    write(path, "mpeg4", [framed()], "yuv420p")
    data = path.read_bytes()
    box = b"clap" + struct.pack(">IIIIiIiI", 240, 1, 112, 1, -24, 1, -8, 1)
    box = struct.pack(">I", len(box) + 4) + box
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"mp4v"):
        at = data.index(name) - 4
        size = struct.unpack(">I", data[at : at + 4])[0]
        data = data[:at] + struct.pack(">I", size + len(box)) + data[at + 4 :]
    end = data.index(b"mp4v") - 4
    end += struct.unpack(">I", data[end : end + 4])[0] - len(box)
    path.write_bytes(data[:end] + box + data[end:])  # the index is behind the pictures
    return path


@pytest.mark.parametrize(("make", "name"), [(cropped_matroska, "a.mkv"), (cropped_movie, "a.mp4")])
def test_what_the_container_hides_is_not_shown(
    tmp_path: Path, make: Callable[[Path], Path], name: str
) -> None:
    path = make(tmp_path / name)
    with path.open("rb") as file:
        assert crops_of(file) == [Crop(16, 32, 64, 48)]
    info, [picture] = shown(path)
    assert (info.width, info.height) == (240, 112)
    assert np.abs(picture[4:-4, 4:-4].astype(int) - 128).max() < 30


@pytest.mark.parametrize("crop", [Crop(200, 0, 200, 0), Crop(0, 192, 0, 0), Crop(0, 0, 0, 500)])
def test_a_crop_that_leaves_nothing_is_none(crop: Crop) -> None:
    assert crop.box(WIDE, HIGH) == (0, 0, WIDE, HIGH)


def test_damaged_elements_are_no_crop(tmp_path: Path) -> None:
    data = cropped_matroska(tmp_path / "a.mkv").read_bytes()
    path = tmp_path / "b.mkv"
    for number in range(0, len(data), 37):
        path.write_bytes(data[:number])
        with path.open("rb") as file:
            assert len(crops_of(file)) <= 1


@pytest.mark.parametrize(("codec", "name"), [("mpeg2video", "a.ts"), ("libx264", "a.mp4")])
def test_fields_of_two_instants_are_not_woven(tmp_path: Path, codec: str, name: str) -> None:
    """A bar that moves by 40 from field to field."""
    pictures = []
    for number in range(3):
        woven = np.full((HIGH, WIDE, 3), 32, np.uint8)
        for field in (0, 1):
            left = 40 + 80 * number + 40 * field
            woven[field::2, left : left + 24] = 224
        pictures.append(woven)
    options = {"x264-params": "tff=1:interlaced=1"} if codec == "libx264" else {}
    flags = av.codec.context.Flags.interlaced_dct | av.codec.context.Flags.interlaced_me
    path = write(
        tmp_path / name, codec, pictures, "yuv420p", options=options, flags=flags, bit_rate=4000000
    )
    for picture in shown(path)[1]:
        grey = picture.mean(axis=2)[8:-8]
        comb = np.abs(2 * grey[1:-1] - grey[:-2] - grey[2:]).mean()
        assert comb < 3, comb
        assert grey.max() > 180  # the bar of one field is there


CURVES = {"pq": 16, "hlg": 18}


def coded(light: float, curve: str) -> float:
    """The signal of so many cd/m2 of grey, by BT.2100."""
    if curve == "pq":
        y = (light / 10000) ** (1305 / 8192)
        return float(((107 / 128 + 2413 / 128 * y) / (1 + 2392 / 128 * y)) ** (2523 / 32))
    scene = (light / 1000) ** (1 / 1.2)
    if scene <= 1 / 12:
        return float((3 * scene) ** 0.5)
    return float(0.17883277 * np.log(12 * scene - 0.28466892) + 0.55991073)


@pytest.mark.parametrize("curve", ["pq", "hlg"])
def test_white_of_hdr_is_white_and_grey_is_grey(tmp_path: Path, curve: str) -> None:
    """203 cd/m2 is diffuse white; a fifth of its light is the grey of sRGB that has it."""
    lights = [203.0, 203 * 0.2, 203 * 0.02, 900.0]
    picture = np.zeros((HIGH, WIDE, 3), np.uint16)
    for number, light in enumerate(lights):
        picture[:, number * 80 : number * 80 + 80] = round(65535 * coded(light, curve))
    path = write_deep(tmp_path / "a.mkv", picture, CURVES[curve])
    [seen] = shown(path)[1]
    values = [seen[90, 40 + number * 80].astype(int) for number in range(4)]
    for value, wanted in zip(values, (255, 124, 39, 255), strict=True):
        assert np.abs(value - wanted).max() <= 5, (values, wanted)


def write_deep(path: Path, picture: Picture, curve: int) -> Path:
    """One frame of BT.2020 in 10 bits, by planes that are made here."""
    red, green, blue = (picture[..., part] / 65535 for part in range(3))
    luma = 0.2627 * red + 0.6780 * green + 0.0593 * blue
    planes = [
        64 + 876 * luma,
        512 + 896 * (blue - luma) / 1.8814,
        512 + 896 * (red - luma) / 1.4746,
    ]
    values = np.stack([plane.round().astype(np.uint16) for plane in planes])
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx265", rate=1)
        stream.width, stream.height, stream.pix_fmt = WIDE, HIGH, "yuv444p10le"
        # With B-frames the decoding time of a lone frame is whatever the encoder's memory held.
        stream.options = {"x265-params": "qp=4:bframes=0:log-level=none"}
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace = curve, 9, 9
        context.color_range = 1
        frame = av.VideoFrame(WIDE, HIGH, "yuv444p10le")
        for plane, part in zip(frame.planes, values, strict=True):
            padded = np.zeros((HIGH, plane.line_size // 2), np.uint16)
            padded[:, :WIDE] = part
            plane.update(padded.tobytes())
        frame.color_trc, frame.color_primaries, frame.colorspace = curve, 9, 9
        frame.color_range, frame.pts = 1, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_wide_colours_keep_their_hue(tmp_path: Path) -> None:
    """sRGB red, told in BT.2020: light 0.6274, 0.0691, 0.0164 of its primaries."""
    picture = np.zeros((HIGH, WIDE, 3), np.uint16)
    picture[:] = [round(65535 * coded(203 * part, "pq")) for part in (0.6274, 0.0691, 0.0164)]
    [seen] = shown(write_deep(tmp_path / "a.mkv", picture, CURVES["pq"]))[1]
    assert np.abs(seen[90, 90].astype(int) - (255, 0, 0)).max() <= 12


@pytest.mark.parametrize(
    ("codec", "name", "pixel_format"),
    [("prores_ks", "a.mov", "yuva444p10le"), ("libvpx-vp9", "a.webm", "yuva420p")],
)
def test_transparency_goes_on_white(
    tmp_path: Path, codec: str, name: str, pixel_format: str
) -> None:
    """The hidden half is red below its transparency; the other one is blue."""
    picture = np.zeros((HIGH, WIDE, 4), np.uint8)
    picture[:, :160] = (255, 0, 0, 0)
    picture[:, 160:] = (0, 0, 255, 255)
    [seen] = shown(write(tmp_path / name, codec, [picture], pixel_format, "rgba"))[1]
    assert np.abs(seen[90, 40].astype(int) - 255).max() < 12
    assert np.abs(seen[90, -40].astype(int) - (0, 0, 255)).max() < 24


def test_white_on_transparency_is_seen(tmp_path: Path) -> None:
    picture = np.full((HIGH, WIDE, 4), (255, 255, 255, 0), np.uint8)
    picture[60:120, 100:220, 3] = 255
    [seen] = shown(write(tmp_path / "a.mov", "prores_ks", [picture], "yuva444p10le", "rgba"))[1]
    assert seen[90, 160].min() > 230
    assert seen[20, 20].max() < 30


def test_frames_that_were_shown_are_freed(tmp_path: Path) -> None:
    """A video of hours is as many pictures as there are seconds: none may stay."""
    picture = np.full((HIGH, WIDE, 3), 128, np.uint8)
    path = write(tmp_path / "a.mp4", "libx264", [picture] * 120, "yuv420p", "rgb24")
    with path.open("rb") as file:
        video = Video(file, Limits())
        shown = sum(presented.image().width == WIDE for presented in video.frames())
        alive = sum(type(one) is av.VideoFrame for one in gc.get_objects())  # some pretend
    assert shown == 120
    assert alive < 10

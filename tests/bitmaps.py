"""Subtitles that are pictures, written by hand: words as indices of a palette, PGS, and a video."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from av.packet import Packet
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from samples.typefaces import NOTO_SANS

SIZE: Final = (640, 360)
RIMMED: Final = ((1, 16, 255), (2, 235, 255))
"""Index, brightness and opacity: a dark rim around bright letters."""
Indices = NDArray[np.uint8]


def words(text: str, *, rim: bool = True) -> Indices:
    """A line of text: 0 around it, 1 its rim, 2 its letters."""
    face = NOTO_SANS.at(32)
    left, top, right, bottom = face.getbbox(text, stroke_width=2)
    image = Image.new("L", (int(right - left) + 8, int(bottom - top) + 8))
    pen = ImageDraw.Draw(image)
    pen.fontmode = "1"
    if rim:
        pen.text((4 - left, 4 - top), text, 1, face, stroke_width=2)
    pen.text((4 - left, 4 - top), text, 2, face)
    return np.asarray(image)


def segment(kind: int, body: bytes) -> bytes:
    """A segment of PGS."""
    return struct.pack(">BH", kind, len(body)) + body


def palette(entries: Sequence[tuple[int, int, int]] = RIMMED) -> bytes:
    """Palette 0."""
    return segment(0x14, bytes(2) + b"".join(bytes((i, y, 128, 128, a)) for i, y, a in entries))


def picture(indices: Indices, number: int = 0, *, cut: int = 60_000) -> bytes:
    """An object, in segments of so many bytes of run lengths."""
    height, width = indices.shape
    lines = b"".join(_runs(row) + b"\0\0" for row in indices)
    head = (len(lines) + 4).to_bytes(3, "big") + struct.pack(">HH", width, height)
    pieces = [lines[at : at + cut] for at in range(0, len(lines), cut)] or [b""]
    made = []
    for index, piece in enumerate(pieces):
        flags = 0x80 * (index == 0) | 0x40 * (index == len(pieces) - 1)
        body = struct.pack(">HBB", number, 0, flags) + (head if index == 0 else b"") + piece
        made.append(segment(0x15, body))
    return b"".join(made)


def composition(
    *placed: tuple[int, int, int],
    crop: tuple[int, int, int, int] | None = None,
    size: tuple[int, int] = SIZE,
    state: int = 0x80,
) -> bytes:
    """A composition of objects, each with its number, x and y; of palette 0."""
    body = struct.pack(">HHBHBBBB", *size, 16, 0, state, 0, 0, len(placed))
    for number, x, y in placed:
        body += struct.pack(">HBBHH", number, 0, 0x80 if crop else 0, x, y)
        body += struct.pack(">4H", *crop) if crop else b""
    return segment(0x16, body)


END: Final = segment(0x80, b"")
CLEAR: Final = composition(state=0) + END
"""A display set that shows nothing."""


def shown(text: str, x: int = 100, y: int = 280) -> bytes:
    """A display set that shows a line."""
    return composition((0, x, y)) + palette() + picture(words(text)) + END


def dvb(
    *placed: tuple[Indices, int, int],
    bits: int = 4,
    timeout_s: int = 30,
    size: tuple[int, int] = SIZE,
) -> bytes:
    """A display set of DVB: a region for each picture, at x and y; without any it shows nothing."""
    page = bytes((timeout_s, 0x08))
    made = [_dvb(0x14, b"\0" + struct.pack(">HH", size[0] - 1, size[1] - 1))]
    pixels = []
    for number, (indices, x, y) in enumerate(placed):
        height, width = indices.shape
        page += struct.pack(">BBHH", number, 0, x, y)
        depth = {2: 1, 4: 2, 8: 3}[bits]
        region = struct.pack(
            ">BBHHBBBB", number, 0x08, width, height, depth << 5 | depth << 2, 0, 0, 0
        )
        made.append(_dvb(0x11, region + struct.pack(">HHH", number, 0, 0)))
        fields = [
            b"".join(_string(row, bits) + b"\xf0" for row in indices[odd::2]) for odd in (0, 1)
        ]
        pixels.append(
            _dvb(0x13, struct.pack(">HBHH", number, 0, *map(len, fields)) + b"".join(fields))
        )
    flag = {2: 0x80, 4: 0x40, 8: 0x20}[bits]
    clut = b"".join(bytes((i, flag | 1, y, 128, 128, 255 - a)) for i, y, a in RIMMED)
    made = [_dvb(0x10, page), *made, _dvb(0x12, bytes(2) + clut), *pixels, _dvb(0x80, b"")]
    return b"".join(made)


def _dvb(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBHH", 0x0F, kind, 1, len(body)) + body


def _string(row: Indices, bits: int) -> bytes:
    """A line as a string of runs, of which the long ones use the longest code there is."""
    made = ""
    most = {2: 284, 4: 280, 8: 127}[bits]
    for colour, pixels in groupby(row.tolist()):
        left = len(list(pixels))
        while left:
            length = min(left, most)
            left -= length
            index = f"{colour:0{bits}b}"
            if bits == 8:
                made += f"{0:08b}1{length:07b}{index}"
            elif length >= 29:
                head = "00" + "0011" if bits == 2 else "0000" + "1111"
                made += head + f"{length - (29 if bits == 2 else 25):08b}" + index
            elif colour:
                made += index * length
            else:
                made += ("0001" if bits == 2 else "00001100") * length
    made += {2: "000000", 4: "00000000", 8: "0" * 16}[bits]
    made += "0" * (-len(made) % 8)
    return bytes(({2: 0x10, 4: 0x11, 8: 0x12}[bits],)) + int(made, 2).to_bytes(len(made) // 8)


def vobsub(indices: Indices, x: int, y: int, stands_s: float) -> bytes:
    """A packet of a DVD: four indices, which stand for so long."""
    height, width = indices.shape
    fields = [b"".join(map(_nibbles, indices[odd::2])) for odd in (0, 1)]
    control = 4 + sum(map(len, fields))
    area = f"{x:03x}{x + width - 1:03x}{y:03x}{y + height - 1:03x}"
    places = struct.pack(">HH", 4, 4 + len(fields[0]))
    commands = b"\x03\x32\x10\x04\xff\xf0\x05" + bytes.fromhex(area) + b"\x06" + places
    last = control + 4 + len(commands) + 2
    body = b"".join(fields) + struct.pack(">HH", 0, last) + commands + b"\x01\xff"
    body += struct.pack(">HH", round(stands_s * 90_000 / 1024), last) + b"\x02\xff"
    return struct.pack(">HH", 4 + len(body), control) + body


def _nibbles(row: Indices) -> bytes:
    made = ""
    for colour, pixels in groupby(row.tolist()):
        left = len(list(pixels))
        while left:
            length = min(left, 255)
            left -= length
            value = length << 2 | colour
            made += f"{value:0{1 if value < 16 else 2 if value < 64 else 3 if value < 256 else 4}x}"
    return bytes.fromhex(made + "0" * (len(made) % 2))


def _runs(row: Indices) -> bytes:
    made = b""
    for colour, pixels in groupby(row.tolist()):
        length = len(list(pixels))
        if length < 3 and colour:
            made += bytes((colour,)) * length
            continue
        flag = 0x80 if colour else 0
        run = (flag | length,) if length < 64 else (flag | 0x40 | length >> 8, length & 0xFF)
        made += b"\0" + bytes(run) + bytes((colour,) if colour else ())
    return made


def film(
    path: Path,
    packets: Sequence[tuple[float, bytes]],
    codec: str = "hdmv_pgs_subtitle",
    *,
    seconds: int = 12,
    **options: str,
) -> Path:
    """A grey video with a track of packets, each with its time in seconds.

    Args:
        path: to write; its suffix says what container.
        packets: of the track.
        codec: of the track.
        seconds: length.
        options: of the container.
    """
    with av.open(str(path), "w", container_options=options) as container:
        video: Any = container.add_stream("mpeg4", rate=1)
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        track: Any = container.add_mux_stream(codec)
        track.metadata["language"] = "eng"
        made = []
        for number in range(seconds):
            planes = np.full((SIZE[1] * 3 // 2, SIZE[0]), 90 + number, np.uint8)
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts = number
            made += video.encode(frame)
        made += video.encode(None)
        for start, data in packets:
            packet = Packet(data)
            packet.stream, packet.time_base = track, Fraction(1, 90_000)
            packet.pts = packet.dts = round(start * 90_000)
            made.append(packet)
        for packet in sorted(made, key=lambda one: one.dts * one.time_base):
            container.mux(packet)
    return path

"""Subtitles that are pictures come out with their time, place and letters, or are refused."""

import struct
from dataclasses import replace
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from av.codec.context import CodecContext
from av.packet import Packet
from PIL import Image

from pipeline.decode import DecodePlan, Sampling, decode
from pipeline.decode.bitmaps import tracks
from pipeline.decode.bitmaps.dvb import Dvb
from pipeline.decode.bitmaps.legible import MARGIN, legible
from pipeline.decode.bitmaps.pgs import Pgs
from pipeline.decode.bitmaps.screen import Bitmap, Decoder, Palette
from pipeline.decode.bitmaps.vobsub import VobSub
from pipeline.decode.container import open_container
from schemas.cues import CuePicture
from schemas.shards import MediaWarning, Shard
from tests import bitmaps
from tests.bitmaps import CLEAR, END, RIMMED, SIZE, composition, film, palette, picture, words

PLAN = DecodePlan(Sampling("rate", 1.0), subtitle_pictures=True)
SECOND = 1_000_000
LINE = words("Mind the gap")
NOISE = np.random.default_rng(0).integers(0, 4, (37, 51), np.uint8)
NOISE[5:9, :40], NOISE[20:25] = 0, 3
SHOWN = composition((0, 100, 280)) + palette() + picture(LINE) + END


def read(path: Path, plan: DecodePlan = PLAN) -> tuple[list[Shard], list[MediaWarning]]:
    items = list(decode(path, plan))
    shards = [one for one in items if isinstance(one, Shard)]
    return shards, [one for one in items if isinstance(one, MediaWarning)]


def cues(path: Path) -> list[CuePicture]:
    """Of the first ten seconds, where nothing is to be warned of."""
    shards, warnings = read(path)
    assert warnings == []
    return list(shards[0].cue_pictures or ())


def spans(found: list[CuePicture]) -> list[tuple[float, float]]:
    return [(one.start_us / SECOND, one.end_us / SECOND) for one in found]


def looks_like(cue: CuePicture, indices: bitmaps.Indices) -> bool:
    """Whether it is dark where a line has letters, with a margin around what is visible."""
    rows, columns = (np.flatnonzero(indices.any(axis=axis)) for axis in (1, 0))
    seen = indices[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    dark = np.asarray(Image.open(BytesIO(cue.image))) < 60
    return np.array_equal(dark, np.pad(seen == 2, MARGIN))


@pytest.mark.parametrize("indices", [LINE, NOISE], ids=["line", "noise"])
@pytest.mark.parametrize(
    ("codec", "bits", "make"),
    [
        ("pgssub", 0, Pgs),
        *(("dvbsub", bits, Dvb) for bits in (2, 4, 8)),
        ("dvdsub", 0, VobSub),
    ],
)
def test_pixels_are_those_of_ffmpeg(codec: str, bits: int, make: Any, indices: Any) -> None:  # noqa: ANN401
    """Its decoders give the same indices, but no palette to PyAV, so they are not used."""
    data = {
        "pgssub": composition((0, 10, 20)) + palette() + picture(indices, cut=200) + END,
        "dvbsub": bitmaps.dvb((indices, 10, 20), bits=bits or 8),
        "dvdsub": bitmaps.vobsub(indices, 10, 20, 2.0),
    }[codec]
    decoder: Decoder = make(b"", SIZE)
    (screen,) = decoder.feed(0, data)
    (ours,) = screen.draw()
    assert (ours.x, ours.y) == (10, 20)
    assert np.array_equal(ours.indices, indices)
    packet = Packet(data)
    packet.pts, packet.time_base = 0, Fraction(1, 1000)
    (theirs,) = CodecContext.create(codec, "r").decode(packet)  # type: ignore[attr-defined]
    assert len(theirs.planes) == 1
    pixels = np.frombuffer(bytes(theirs.planes[0]), np.uint8)
    pixels = pixels[: theirs.width * theirs.height].reshape(theirs.height, theirs.width)
    top, left = theirs.y - 20, theirs.x - 10  # it cuts a picture of a DVD to what is seen
    assert np.array_equal(pixels, indices[top:, left:][: theirs.height, : theirs.width])


@pytest.mark.parametrize(
    ("name", "options"), [("a.mkv", {}), ("a.m2ts", {"mpegts_m2ts_mode": "1"})]
)
def test_a_cue_stands_until_the_empty_composition(
    tmp_path: Path, name: str, options: dict[str, str]
) -> None:
    (cue,) = cues(film(tmp_path / name, [(2, SHOWN), (4.5, CLEAR)], **options))
    assert spans([cue]) == [(2, 4.5)]
    rows, columns = (np.flatnonzero(LINE.any(axis=axis)) for axis in (1, 0))
    place = [100 + columns[0], 280 + rows[0], 101 + columns[-1], 281 + rows[-1]]
    assert [share * SIZE[n % 2] for n, share in enumerate(cue.box)] == pytest.approx(place)
    assert looks_like(cue, LINE)
    assert cue.language == ("eng" if name == "a.mkv" else None)


def test_segments_in_packets_of_their_own(tmp_path: Path) -> None:
    parts = composition((0, 100, 280)), palette(), picture(LINE), END
    packets = [(2 + 0.01 * n, part) for n, part in enumerate(parts)]
    assert spans(cues(film(tmp_path / "a.mkv", [*packets, (4, CLEAR)]))) == [(2, 4)]


def test_a_cue_ends_with_the_next_and_the_last_with_the_video(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", [(1, SHOWN), (3, bitmaps.shown("On time")), (5, SHOWN)])
    shards, _ = read(path)
    assert spans(list(shards[0].cue_pictures or ()))[:2] == [(1, 3), (3, 5)]
    (last,) = shards[1].cue_pictures or ()
    assert last.start_us == 5 * SECOND
    assert last.end_us >= shards[1].end


def test_what_fades_and_what_is_sent_again_is_one_cue(tmp_path: Path) -> None:
    def faded(alpha: int) -> bytes:
        colours = palette([(1, 16, alpha), (2, 235, alpha)])
        return composition((0, 100, 280), state=0) + colours + END

    hidden = composition((0, 100, 280)) + palette([(1, 16, 0), (2, 235, 0)]) + picture(LINE) + END
    steps = [(1, hidden), (1.5, faded(80)), (2, faded(255)), (3, SHOWN), (4, faded(90)), (5, CLEAR)]
    found = cues(film(tmp_path / "a.mkv", steps))
    assert spans(found) == [(1.5, 5)]
    assert looks_like(found[0], LINE)


def test_a_cropped_object(tmp_path: Path) -> None:
    height, width = LINE.shape
    wide = np.zeros((60, 500), np.uint8)
    wide[5 : 5 + height, 200 : 200 + width] = LINE
    wide[:, :150] = 2
    placed = composition((0, 50, 60), crop=(200, 5, width, height))
    (cue,) = cues(film(tmp_path / "a.mkv", [(1, placed + palette() + picture(wide) + END)]))
    assert looks_like(cue, LINE)


def test_two_objects_are_one_cue(tmp_path: Path) -> None:
    above = words("Above")
    data = composition((0, 100, 280), (1, 20, 10)) + palette() + picture(LINE) + picture(above, 1)
    (cue,) = cues(film(tmp_path / "a.mkv", [(1, data + END), (2, CLEAR)]))
    assert cue.box[1] * SIZE[1] < 20
    assert cue.box[3] * SIZE[1] > 280


@pytest.mark.parametrize(
    ("colours", "indices"),
    [
        (RIMMED, LINE),
        ([(1, 235, 255), (2, 16, 255)], LINE),
        ([(1, 16, 120), (2, 210, 255)], LINE),
        ([(2, 235, 255)], words("No rim", rim=False)),
        ([(0, 16, 255), (1, 16, 255), (2, 180, 255)], LINE),
    ],
    ids=["dark rim", "bright rim", "faint rim", "no rim", "on a box"],
)
def test_letters_are_dark_on_white(colours: Any, indices: Any) -> None:  # noqa: ANN401
    found = legible([Bitmap(0, 0, indices, Palette.of(colours))], (640, 360))
    assert found is not None
    image = np.asarray(Image.open(BytesIO(found[1])))
    dark = image < 60
    assert dark.sum() == (indices == 2).sum()
    assert (image[~dark] > 200).all()


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_dvb(tmp_path: Path, bits: int) -> None:
    """A page stands until the next, or for as long as it says."""
    show = bitmaps.dvb((LINE, 100, 280), bits=bits, timeout_s=3)
    packets = [(1, show), (2.5, bitmaps.dvb()), (4, show)]
    found = cues(film(tmp_path / "a.ts", packets, "dvb_subtitle"))
    assert spans(found) == [(1, 2.5), (4, 7)]
    assert looks_like(found[0], LINE)
    assert found[0].language == "eng"


def test_vobsub(tmp_path: Path) -> None:
    packets = [(1, bitmaps.vobsub(LINE, 100, 280, 2.0))]
    (cue,) = cues(film(tmp_path / "a.mkv", packets, "dvd_subtitle"))
    assert spans([cue]) == [(1, pytest.approx(3, abs=0.02))]
    assert looks_like(cue, LINE)


HUGE = struct.pack(">HBB", 0, 0, 0xC0) + b"\0\0\x0a" + struct.pack(">HH", 65535, 65535) + b"\1" * 6
HOSTILE = {
    "a huge object": composition((0, 0, 0)) + palette() + bitmaps.segment(0x15, HUGE) + END,
    "a huge screen": composition((0, 0, 0), size=(65535, 65535)) + palette() + picture(LINE) + END,
    "no object": composition((7, 0, 0)) + palette() + END,
    "no palette": composition((0, 0, 0)) + picture(LINE) + END,
    "a cut segment": SHOWN[:-40],
    "a cut composition": bitmaps.segment(0x16, composition((0, 9, 9))[3:-4]) + END,
    "many objects": composition(*[(0, 0, 0)] * 250)
    + palette()
    + picture(np.ones((400, 640), np.uint8))
    + END,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_no_player_would_show_is_refused(tmp_path: Path, name: str) -> None:
    """With a warning, and without harm to what comes behind it."""
    path = film(tmp_path / "a.mkv", [(1, HOSTILE[name]), (3, SHOWN), (4, CLEAR)])
    shards, warnings = read(path)
    assert spans(list(shards[0].cue_pictures or ())) == [(3, 4)]
    (warning,) = warnings
    assert warning.code == "not_read"
    assert "damaged or too large" in warning.detail


@pytest.mark.parametrize(
    ("codec", "make"), [("dvb_subtitle", bitmaps.dvb), ("dvd_subtitle", bitmaps.vobsub)]
)
def test_damaged_packets_take_nothing_else_away(tmp_path: Path, codec: str, make: Any) -> None:  # noqa: ANN401
    good = make((LINE, 9, 9)) if codec == "dvb_subtitle" else make(LINE, 9, 9, 1.0)
    random = np.random.default_rng(1)
    packets = [(0.5, good[:30])]
    for n in range(40):
        data = bytearray(good)
        for place in random.integers(0, len(good), 8):
            data[place] = random.integers(256)
        packets.append((1 + n / 10, bytes(data)))
    shards, _ = read(film(tmp_path / "a.mkv", [*packets, (8, good)], codec))
    assert len(shards) == 2
    assert (shards[0].cue_pictures or ())[-1].start_us == 8 * SECOND


def test_pictures_are_bounded_in_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And in their bytes; what is beyond is counted."""
    path = film(tmp_path / "a.mkv", [(n / 10, SHOWN if n % 2 else CLEAR) for n in range(100)])
    for bound, value, kept in (("_CUES", 20, 20), ("_BYTES", 1, 1)):
        monkeypatch.setattr(tracks, bound, value)
        with path.open("rb") as file, open_container(file) as container:
            pictures = tracks.Pictures(container, PLAN, SIZE)
            for packet in container.demux(pictures.tracks):
                list(pictures.take(packet, Fraction(0)))
            pictures.finish()
        assert len(pictures.cues) == kept
        (warning,) = pictures.warnings()
        assert warning.detail.endswith(f": {50 - kept}")


def test_without_a_reader_nothing_is_drawn(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", [(2, SHOWN), (4.5, CLEAR)])
    shards, warnings = read(path, replace(PLAN, subtitle_pictures=False))
    assert [shard.cue_pictures for shard in shards] == [None, None]
    detail = "1 subtitle track of pictures, which the task text reads"
    assert warnings == [MediaWarning("not_read", detail)]


def test_parts_have_their_own_pictures(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", [(2, SHOWN), (4, CLEAR), (11, SHOWN), (11.5, CLEAR)])
    (shard,), _ = read(path, replace(PLAN, first_part=1))
    assert spans(list(shard.cue_pictures or ())) == [(11, 11.5)]
    assert Shard.from_ipc(shard.to_ipc()) == shard


def test_words_that_a_palette_reveals_are_another_cue() -> None:
    """The same bitmap, of which more is seen."""
    half = palette([RIMMED[0], (2, 235, 0)])
    more = composition((0, 100, 280), state=0) + palette() + END
    decoder = Pgs()
    (first,) = decoder.feed(0, composition((0, 100, 280)) + half + picture(LINE) + END)
    (second,) = decoder.feed(SECOND, more)
    assert first.key != second.key


def test_a_region_of_dvb_at_thousands_of_places_is_refused() -> None:
    data = bitmaps.dvb((np.ones((400, 640), np.uint8), 0, 0))
    (start,) = struct.unpack(">H", data[4:6])
    page = data[6 : 6 + start][:2] + struct.pack(">BBHH", 0, 0, 0, 0) * 2000
    many = struct.pack(">BBHH", 0x0F, 0x10, 1, len(page)) + page + data[6 + start :]
    with pytest.raises(ValueError, match="too many pixels"):
        list(Dvb().feed(0, many))


def test_a_page_of_dvb_without_a_time_stands_until_the_next() -> None:
    (screen,) = Dvb().feed(SECOND, bitmaps.dvb((LINE, 9, 9), timeout_s=0))
    assert screen.until is None


def test_lines_that_end_without_a_pixel_are_bounded() -> None:
    """Object after object of them, which would take minutes."""
    lines = b"\0\0" * 30_000
    head = (len(lines) + 4).to_bytes(3, "big") + struct.pack(">HH", 8, 8)
    thing = bitmaps.segment(0x15, struct.pack(">HBB", 0, 0, 0xC0) + head + lines)
    data = composition(*[(0, 0, 0)] * 250) + palette() + thing + END
    (screen,) = Pgs().feed(0, data)
    with pytest.raises(ValueError, match="too many pixels"):
        screen.draw()


def test_a_picture_of_a_dvd_that_fades_out_is_read() -> None:
    data = bitmaps.vobsub(LINE, 9, 9, 2.0)
    faded = bytearray(data)
    faded[2:4] = struct.pack(">H", len(data))  # commands of our own, behind
    (control,) = struct.unpack(">H", data[2:4])
    begins = data[control + 4 : data.index(b"\x01\xff", control) + 2]
    second = len(data) + 4 + len(begins)
    faded += struct.pack(">HH", 0, second) + begins
    faded += struct.pack(">HH", 150, second) + b"\x04\0\0\x02\xff"
    (screen,) = VobSub(b"", SIZE).feed(0, bytes(faded))
    assert np.array_equal(screen.draw()[0].indices, LINE)


def test_a_time_beyond_all_media_is_damage(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", [(2, SHOWN), (4, CLEAR)])
    with path.open("rb") as file, open_container(file) as container:
        pictures = tracks.Pictures(container, PLAN, SIZE)
        for packet in container.demux(pictures.tracks):
            list(pictures.take(packet, Fraction(-(2**50))))
        pictures.finish()
    assert pictures.cues == []
    (warning,) = pictures.warnings()
    assert "damaged" in warning.detail

"""What a person reads on a page is what lands of it, and what is in the file besides is said."""

import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.decode import DecodePlan, Sampling, decode, pixels
from pipeline.decode.pdfsource import stated
from schemas.shards import MediaInfo, MediaWarning, Shard

PLAN = DecodePlan(Sampling("rate", 1.0))
FONT = "/Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >>"


def document(
    path: Path, content: str, *, page: str = "", catalog: str = "", fonts: str = "", more: str = ""
) -> Path:
    """A PDF of one page of 400 x 300 points; objects of `more` are numbered from 5."""
    resources = f"/Resources << {fonts or FONT} {page if 'Properties' in page else ''} >>"
    page = "" if "Properties" in page else page
    objects = [
        f"1 0 obj << /Type /Catalog /Pages 2 0 R {catalog} >> endobj",
        "2 0 obj << /Type /Pages /Kids [3 0 R] /Count 1 >> endobj",
        "3 0 obj << /Type /Page /Parent 2 0 R /MediaBox [0 0 400 300] /Contents 4 0 R "
        f"{resources} {page} >> endobj",
        f"4 0 obj << /Length {len(content)} >> stream\n{content}\nendstream endobj",
        more,
    ]
    path.write_text("%PDF-1.7\n" + "\n".join(objects) + "\ntrailer << /Root 1 0 R >>\n%%EOF\n")
    return path


def read(path: Path) -> tuple[dict[str, Any], list[str]]:
    """The first page's row, and the warnings."""
    info, *rest = decode(path, PLAN)
    assert isinstance(info, MediaInfo)
    rows = [row for one in rest if isinstance(one, Shard) for row in one.rows.to_pylist()]
    return rows[0], [f"{w.code}: {w.detail}" for w in rest if isinstance(w, MediaWarning)]


def said(text: str, x: int = 50, y: int = 200) -> str:
    return f"BT /F1 24 Tf {x} {y} Td ({text}) Tj ET"


def test_a_plain_page_is_as_it_was(tmp_path: Path) -> None:
    row, warnings = read(document(tmp_path / "a.pdf", said("Hello") + "\n" + said("World", y=100)))
    assert (row["text"], row["is_blank"], warnings) == ("Hello\nWorld", False, [])


@pytest.mark.parametrize(("colour", "mode"), [("0.4 g", "P"), ("0.9 0.2 0.1 rg", "RGB")])
def test_greys_are_kept_as_numbers_of_greys(tmp_path: Path, colour: str, mode: str) -> None:
    drawn = f"{colour} 0 0 400 300 re f"
    row, _ = read(document(tmp_path / "a.pdf", drawn))
    with Image.open(BytesIO(row["image"])) as kept:
        assert (kept.format, kept.mode) == ("PNG", mode)
    tone = [round(255 * float(part)) for part in colour.split()[:-1]]
    wanted = np.array(tone * (3 // len(tone)))
    assert np.abs(pixels(row["image"]).astype(int) - wanted).max() <= 1


@pytest.mark.parametrize("turned", [0, 90, 180])
def test_text_outside_the_crop_is_not_on_the_page(tmp_path: Path, turned: int) -> None:
    content = said("Inside", 60, 60) + "\n" + said("Outside", 60, 250)
    box = f"/CropBox [0 0 400 200] /Rotate {turned}"
    assert read(document(tmp_path / "a.pdf", content, page=box))[0]["text"] == "Inside"


@pytest.mark.parametrize("state", ["ON", "OFF"])
def test_a_layer_that_is_off_is_not_on_the_page(tmp_path: Path, state: str) -> None:
    content = said("Always") + f"\n/OC /L1 BDC {said('Layer', y=100)} EMC"
    path = document(
        tmp_path / "a.pdf",
        content,
        page="/Properties << /L1 5 0 R >>",
        catalog=f"/OCProperties << /OCGs [5 0 R] /D << /{state} [5 0 R] /Order [5 0 R] >> >>",
        more="5 0 obj << /Type /OCG /Name (One) >> endobj",
    )
    assert read(path)[0]["text"] == ("Always\nLayer" if state == "ON" else "Always")


FIELD = (
    "5 0 obj << /Type /Annot /Subtype /Widget /FT /Tx /T (name) /V (JANE SMITH) "
    "/Rect [50 50 300 90] /DA (/Helv 12 Tf 0 g) /F {flags} >> endobj"
)
NOTE = (
    "5 0 obj << /Type /Annot /Subtype /FreeText /Contents (Please check) /Rect [50 50 300 90] "
    "/DA (/Helv 12 Tf 0 g) /F {flags} >> endobj"
)
FORM = (
    "/AcroForm << /Fields [5 0 R] /DA (/Helv 12 Tf 0 g) /DR << /Font << /Helv << /Type /Font "
    "/Subtype /Type1 /BaseFont /Helvetica >> >> >> >>"
)


@pytest.mark.parametrize(
    ("more", "text"), [(FIELD, "Name:\nJANE SMITH"), (NOTE, "Name:\nPlease check")]
)
@pytest.mark.parametrize("flags", [4, 2, 32], ids=["printed", "hidden", "not viewed"])
def test_what_was_filled_in_and_noted_is_read(
    tmp_path: Path, more: str, text: str, flags: int
) -> None:
    form = FORM if more is FIELD else ""
    filled = more.format(flags=flags)
    path = tmp_path / "a.pdf"
    document(path, said("Name:"), page="/Annots [5 0 R]", catalog=form, more=filled)
    assert read(path)[0]["text"] == (text if flags == 4 else "Name:")


def test_files_inside_are_said(tmp_path: Path) -> None:
    files = "/Names << /EmbeddedFiles << /Names [(a) 5 0 R (b) 6 0 R] >> >>"
    specs = [
        f"{number} 0 obj << /Type /Filespec /F ({name}) /UF ({name}) /EF << /F 7 0 R >> >> endobj"
        for number, name in [(5, "sums.xlsx"), (6, "b.csv")]
    ]
    specs.append("7 0 obj << /Type /EmbeddedFile /Length 3 >> stream\nabc\nendstream endobj")
    path = document(tmp_path / "a.pdf", said("Cover"), catalog=files, more="\n".join(specs))
    _, warnings = read(path)
    assert warnings == ["not_read: 2 attached files: 'sums.xlsx', 'b.csv'"]


def test_a_form_of_another_kind_is_said(tmp_path: Path) -> None:
    xfa = "/AcroForm << /Fields [] /XFA 5 0 R >>"
    stream = "5 0 obj << /Length 6 >> stream\n<xdp/>\nendstream endobj"
    _, warnings = read(document(tmp_path / "a.pdf", said("Please wait"), catalog=xfa, more=stream))
    assert [one.partition(":")[0] for one in warnings] == ["not_read"]


def missing(order: str, encoding: str) -> str:
    """A font of characters that is not in the document."""
    return (
        f"/Font << /F1 << /Type /Font /Subtype /Type0 /BaseFont /Absent-{order} "
        f"/Encoding /{encoding} /DescendantFonts [<< /Type /Font /Subtype /CIDFontType0 "
        f"/BaseFont /Absent-{order} /CIDSystemInfo << /Registry (Adobe) /Ordering ({order}) "
        "/Supplement 2 >> /FontDescriptor << /Type /FontDescriptor /FontName /Absent "
        "/Flags 4 /FontBBox [0 0 1000 1000] /ItalicAngle 0 /Ascent 800 /Descent -200 /StemV 80 >> "
        ">>] >> >>"
    )


@pytest.mark.parametrize("font", ["Helvetica", "Times-Bold", "Calibri", "NoSuch,Italic"])
def test_western_letters_need_no_font_in_the_document(tmp_path: Path, font: str) -> None:
    letters = bytes(range(0xA1, 0x100)).decode("cp1252") + "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
    places = [
        (20 + 20 * (number % 18), 264 - 30 * (number // 18)) for number in range(len(letters))
    ]
    content = "\n".join(
        f"BT /F1 16 Tf {x} {y} Td <{letter.encode('cp1252').hex()}> Tj ET"
        for letter, (x, y) in zip(letters, places, strict=True)
    )
    fonts = (
        "/Font << /F1 << /Type /Font /Subtype /TrueType /Encoding /WinAnsiEncoding "
        f"/BaseFont /{font} >> >>"
    )
    row, warnings = read(document(tmp_path / "a.pdf", content, fonts=fonts))
    assert warnings == []
    kept = pixels(row["image"])
    scale = kept.shape[1] / 400
    for letter, (x, y) in zip(letters, places, strict=True):
        left, top, right, bottom = (round(scale * at) for at in (x, 280 - y, x + 20, 308 - y))
        assert kept[top:bottom, left:right].min() < 128, letter


@pytest.mark.parametrize(
    ("order", "encoding", "text"),
    [
        ("Japan1", "UniJIS-UTF16-H", "請求書"),
        ("GB1", "UniGB-UTF16-H", "请求书"),
        ("Korea1", "UniKS-UTF16-H", "청구서"),
    ],
)
def test_text_without_a_font_is_said_and_no_blank_page(
    tmp_path: Path, order: str, encoding: str, text: str
) -> None:
    shown = f"BT /F1 40 Tf 60 150 Td <{text.encode('utf-16-be').hex()}> Tj ET"
    path = document(tmp_path / "a.pdf", shown, fonts=missing(order, encoding))
    row, warnings = read(path)
    assert row["text"] == text
    assert not row["is_blank"]
    assert warnings == [f"font_missing: text in Absent-{order} cannot be seen; embed the fonts"]


def test_an_empty_page_is_blank(tmp_path: Path) -> None:
    row, warnings = read(document(tmp_path / "a.pdf", ""))
    assert (row["text"], row["is_blank"], warnings) == ("", True, [])


@pytest.mark.parametrize("unit", ["72", "2.5", "1"])
def test_a_page_is_as_large_as_its_unit_says(tmp_path: Path, unit: str) -> None:
    path = document(tmp_path / "a.pdf", said("Large"), page=f"/UserUnit {unit}")
    row, _ = read(path)
    assert (row["width_pt"], row["height_pt"]) == (400 * float(unit), 300 * float(unit))


def test_a_small_page_of_large_units_is_readable(tmp_path: Path) -> None:
    """8.5 x 11 units of an inch are a letter."""
    path = document(tmp_path / "a.pdf", "BT /F1 1 Tf 1 5 Td (Letter) Tj ET", page="/UserUnit 72")
    text = path.read_text().replace("[0 0 400 300]", "[0 0 8.5 11]")
    path.write_text(text)
    row, _ = read(path)
    assert (row["width_pt"], row["height_pt"]) == (612, 792)
    assert row["width"] > 700
    assert not row["is_blank"]


def packed(objects: bytes) -> bytes:
    head = b"7 0 obj << /Type /ObjStm /N 1 /First 4 /Filter /FlateDecode >> stream\n"
    return b"%PDF-1.7\n" + head + objects + b"\nendstream"


def test_a_unit_inside_an_object_stream_is_found() -> None:
    objects = zlib.compress(b"3 0 << /Type /Page /UserUnit 72.0 /Parent 2 0 R >>")
    assert stated(BytesIO(packed(objects))).unit == 72
    assert stated(BytesIO(packed(b"broken"))).unit == 1
    assert stated(BytesIO(b"/UserUnit 2 /UserUnit 3")).unit == 1, "pages differ"


@pytest.mark.parametrize(
    ("document", "may_have_layers"),
    [
        (b"%PDF-1.7 1 0 obj << /Type /Catalog >>", False),
        (b"%PDF-1.7 1 0 obj << /Type /Catalog /OCProperties 2 0 R >>", True),
        (packed(zlib.compress(b"1 0 << /Type /Catalog >>")), False),
        (packed(zlib.compress(b"1 0 << /Type /Catalog /OCProperties 2 0 R >>")), True),
        (packed(b"encrypted, or packed by another filter"), True),
        (packed(zlib.compress(b"\x02predicted")), True),
        (packed(zlib.compress(b"1 0 << /Type /Catalog >>")[:-6]), True),
        (b"trailer << /Encrypt 9 0 R >>", True),
    ],
)
def test_layers_are_excluded_only_where_all_was_read(
    document: bytes, may_have_layers: bool
) -> None:
    assert stated(BytesIO(document)).may_have_layers is may_have_layers


def test_a_page_of_forty_thousand_lines(tmp_path: Path) -> None:
    """They all land, each at its place: columns of 800 lines, a third of a point high."""
    down = (f"(line {n:05}) Tj " + ("T*" if n % 800 else "5 264 Td") for n in range(1, 40_001))
    content = "BT /F1 0.33 Tf 0.33 TL 10 280 Td " + " ".join(down) + " ET"
    lines = read(document(tmp_path / "a.pdf", content))[0]["lines"]
    assert sorted(one["text"] for one in lines) == [f"line {n:05}" for n in range(1, 40_001)]
    assert all(0 <= one["x0"] < one["x1"] <= 1 and 0 <= one["y0"] < one["y1"] for one in lines)

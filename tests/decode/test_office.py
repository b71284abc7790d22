"""Office documents are read through LibreOffice; without it they are failures that say so."""

import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from pipeline.decode import DecodePlan, Sampling, decode, office_program
from pipeline.decode.office import office_kind
from schemas.errors import InputError
from schemas.shards import MediaInfo, Shard
from tests.conftest import run

PLAN = DecodePlan(Sampling("rate", 1.0))
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
MAIN = "http://schemas.openxmlformats.org/%s/2006/main"
TYPE = "application/vnd.openxmlformats-officedocument.%s.main+xml"


def relations(*targets: tuple[str, str]) -> str:
    rows = "".join(
        f'<Relationship Id="r{n}" Type="{OFFICE}/{kind}" Target="{target}"/>'
        for n, (kind, target) in enumerate(targets)
    )
    return f'<Relationships xmlns="{PACKAGE}/relationships">{rows}</Relationships>'


def package(path: Path, main: str, kind: str, parts: Mapping[str, str]) -> Path:
    """A document of the Office Open XML formats (ECMA-376) of a few parts."""
    types = (
        f'<Types xmlns="{PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.'
        'relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/{main}" ContentType="{TYPE % kind}"/></Types>'
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", types)
        archive.writestr("_rels/.rels", relations(("officeDocument", main)))
        for name, text in parts.items():
            archive.writestr(name, text)
    return path


def letter(path: Path, text: str) -> Path:
    paragraph = f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"
    body = f'<w:document xmlns:w="{MAIN % "wordprocessingml"}"><w:body>{paragraph}</w:body>'
    parts = {"word/document.xml": f"{body}</w:document>"}
    return package(path, "word/document.xml", "wordprocessingml.document", parts)


def sheet(path: Path, text: str) -> Path:
    space = f'xmlns="{MAIN % "spreadsheetml"}"'
    book = (
        f'<workbook {space} xmlns:r="{OFFICE}"><sheets><sheet name="S" sheetId="1" r:id="r0"/>'
        "</sheets></workbook>"
    )
    cell = f'<c r="A1" t="inlineStr"><is><t>{text}</t></is></c>'
    parts = {
        "xl/workbook.xml": book,
        "xl/_rels/workbook.xml.rels": relations(("worksheet", "s.xml")),
        "xl/s.xml": f'<worksheet {space}><sheetData><row r="1">{cell}</row></sheetData>'
        "</worksheet>",
    }
    return package(path, "xl/workbook.xml", "spreadsheetml.sheet", parts)


@pytest.fixture(scope="module")
def office() -> None:
    """LibreOffice, from Debian."""
    if office_program() is None:
        names = ["libreoffice-writer-nogui", "libreoffice-calc-nogui"]
        install = ["apt-get", "install", "--yes", "--no-install-recommends", *names]
        subprocess.run(["apt-get", "update"], check=True, capture_output=True)
        subprocess.run(install, check=True, capture_output=True)


def pages(path: Path) -> list[str]:
    info, *rest = decode(path, PLAN)
    assert isinstance(info, MediaInfo)
    shards = (one for one in rest if isinstance(one, Shard))
    return [row["text"] for shard in shards for row in shard.rows.to_pylist()]


@pytest.mark.ci
def test_documents_are_read(office: None, tmp_path: Path) -> None:
    assert pages(letter(tmp_path / "a.docx", "Annual letter 40718")) == ["Annual letter 40718"]
    found = pages(sheet(tmp_path / "a.xlsx", "Ridership 1250"))
    assert "Ridership 1250" in found[0]
    assert not list(tmp_path.glob("*.pdf"))


@pytest.mark.ci
def test_a_damaged_document_is_a_failure_of_its_own(office: None, tmp_path: Path) -> None:
    whole = letter(tmp_path / "a.docx", "Annual letter 40718").read_bytes()
    damaged = tmp_path / "b.docx"
    damaged.write_bytes(whole.replace(b"word/document.xml", b"word/d\0cument.xml"))
    with pytest.raises(InputError, match="LibreOffice cannot read it") as caught:
        pages(damaged)
    assert caught.value.code == "corrupt"


def test_kinds_are_told_by_content(tmp_path: Path) -> None:
    kinds = {
        "docx": letter(tmp_path / "a", "x"),
        "xlsx": sheet(tmp_path / "b", "x"),
        "odt": tmp_path / "c",
        "doc": tmp_path / "d",
        "": tmp_path / "e",
    }
    with zipfile.ZipFile(kinds["odt"], "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.text")
    kinds["doc"].write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504))
    with zipfile.ZipFile(kinds[""], "w") as archive:
        archive.writestr("photo.jpg", "word/ is no folder of it")
    assert {office_kind(path): path for path in kinds.values()} == kinds


def test_without_libreoffice_the_failure_says_so(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    letter(tmp_path / "in" / "a.docx", "Annual letter 40718")
    lake = tmp_path / "lake"
    done = run("index", tmp_path / "in", "--to", lake, "--tasks", "", PATH=str(tmp_path))
    assert done.code == 1
    assert "install LibreOffice, or export it as PDF" in done.err

"""Office documents are read through LibreOffice, which gets at nothing else, or fail clearly."""

import os
import shutil
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.consume import MEDIA_SUFFIXES
from pipeline.decode import DecodePlan, Limits, Sampling, confinement, decode, office
from schemas.errors import InputError
from schemas.shards import MediaInfo, Shard

PLAN = DecodePlan(Sampling("rate", 1.0))
FORMATS = "http://schemas.openxmlformats.org/"
OFFICE = FORMATS + "officeDocument/2006/relationships"
WORD = FORMATS + "wordprocessingml/2006/main"
SHEET = FORMATS + "spreadsheetml/2006/main"
SLIDE = FORMATS + "presentationml/2006/main"
DRAWING = FORMATS + "drawingml/2006/main"
KINDS = {
    "docx": ("word/document.xml", "wordprocessingml.document"),
    "xlsx": ("xl/workbook.xml", "spreadsheetml.sheet"),
    "pptx": ("ppt/presentation.xml", "presentationml.presentation"),
}
OPEN = {"odt": "text", "ods": "spreadsheet", "odp": "presentation"}


def related(kind: str, target: str) -> str:
    return (
        f'<Relationships xmlns="{FORMATS}package/2006/relationships">'
        f'<Relationship Id="r1" Type="{OFFICE}/{kind}" Target="{target}"/></Relationships>'
    )


def parts_of(kind: str, text: str) -> dict[str, str]:
    """The least that a program takes for a document of this kind."""
    if kind == "docx":
        body = f"<w:body><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:body>"
        return {"word/document.xml": f'<w:document xmlns:w="{WORD}">{body}</w:document>'}
    if kind == "xlsx":
        cell = f'<c r="A1" t="inlineStr"><is><t>{text}</t></is></c>'
        sheets = '<sheets><sheet name="a" sheetId="1" r:id="r1"/></sheets>'
        rows = f'<sheetData><row r="1">{cell}</row></sheetData>'
        return {
            "xl/workbook.xml": f'<workbook xmlns="{SHEET}" xmlns:r="{OFFICE}">{sheets}</workbook>',
            "xl/_rels/workbook.xml.rels": related("worksheet", "worksheets/a.xml"),
            "xl/worksheets/a.xml": f'<worksheet xmlns="{SHEET}">{rows}</worksheet>',
        }
    names = f'xmlns:p="{SLIDE}" xmlns:a="{DRAWING}" xmlns:r="{OFFICE}"'
    head = (
        "<p:nvGrpSpPr><p:cNvPr id='1' name=''/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/>"
    )
    place = "<a:xfrm><a:off x='900000' y='900000'/><a:ext cx='7000000' cy='900000'/></a:xfrm>"
    shape = (
        "<p:sp><p:nvSpPr><p:cNvPr id='2' name='t'/><p:cNvSpPr txBox='1'/><p:nvPr/></p:nvSpPr>"
        f"<p:spPr>{place}<a:prstGeom prst='rect'/></p:spPr>"
        f"<p:txBody><a:bodyPr/><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp>"
    )
    slides = '<p:sldIdLst><p:sldId id="256" r:id="r1"/></p:sldIdLst>'
    size = '<p:sldSz cx="9144000" cy="6858000"/>'
    tree = f"<p:cSld><p:spTree>{head}{shape}</p:spTree></p:cSld>"
    return {
        "ppt/presentation.xml": f"<p:presentation {names}>{slides}{size}</p:presentation>",
        "ppt/_rels/presentation.xml.rels": related("slide", "slides/a.xml"),
        "ppt/slides/a.xml": f"<p:sld {names}>{tree}</p:sld>",
    }


def document(path: Path, text: str = "Kingfisher report") -> Path:
    """A document of the kind that the name says, by hand."""
    kind = path.suffix[1:]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        if kind in OPEN:
            return open_document(path, archive, OPEN[kind], text)
        main, content = KINDS[kind]
        parts = parts_of(kind, text)
        form = f"application/vnd.openxmlformats-officedocument.{content}"
        types = {
            name: f"{form.rpartition('.')[0]}.{part}+xml"
            for name, part in (("xl/worksheets/a.xml", "worksheet"), ("ppt/slides/a.xml", "slide"))
        } | {main: f"{form}.main+xml"}
        listed = "".join(
            f'<Override PartName="/{name}" ContentType="{types[name]}"/>'
            for name in parts
            if name in types
        )
        rels = "application/vnd.openxmlformats-package.relationships+xml"
        archive.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{FORMATS}package/2006/content-types">'
            f'<Default Extension="rels" ContentType="{rels}"/>{listed}</Types>',
        )
        archive.writestr("_rels/.rels", related("officeDocument", main))
        for name, part in parts.items():
            archive.writestr(name, '<?xml version="1.0" encoding="UTF-8"?>' + part)
    return path


def open_document(path: Path, archive: zipfile.ZipFile, subject: str, text: str) -> Path:
    names = "urn:oasis:names:tc:opendocument:xmlns:"
    form = f"application/vnd.oasis.opendocument.{subject}"
    inner = f"<text:p>{text}</text:p>"
    if subject == "spreadsheet":
        inner = f"<table:table><table:table-row><table:table-cell>{inner}</table:table-cell>"
        inner += "</table:table-row></table:table>"
    if subject == "presentation":
        place = 'svg:x="2cm" svg:y="2cm" svg:width="15cm" svg:height="3cm"'
        inner = f"<draw:frame {place}><draw:text-box>{inner}</draw:text-box></draw:frame>"
        inner = f'<draw:page draw:name="a">{inner}</draw:page>'
    spaces = " ".join(
        f'xmlns:{name}="{names}{long}:1.0"'
        for name, long in (
            *((name, name) for name in ("office", "text", "table", "manifest")),
            *(("draw", "drawing"), ("svg", "svg-compatible")),
        )
    )
    content = f"<office:body><office:{subject}>{inner}</office:{subject}></office:body>"
    entries = "".join(
        f'<manifest:file-entry manifest:full-path="{place}" manifest:media-type="{kind}"/>'
        for place, kind in (("/", form), ("content.xml", "text/xml"))
    )
    archive.writestr("mimetype", form, zipfile.ZIP_STORED)
    whole = f'<office:document-content {spaces} office:version="1.3">{content}'
    archive.writestr("content.xml", whole + "</office:document-content>")
    manifest = f"<manifest:manifest {spaces}>{entries}</manifest:manifest>"
    archive.writestr("META-INF/manifest.xml", manifest)
    return path


def kind_of(path: Path) -> str:
    with path.open("rb") as file:
        return office.office_kind(path, file.fileno())


def code_of(path: Path) -> tuple[str, str]:
    with pytest.raises(InputError) as caught:
        list(decode(path, PLAN))
    return caught.value.code, caught.value.message


@pytest.mark.parametrize("kind", [*KINDS, *OPEN])
def test_a_kind_is_told_by_what_is_in_it(tmp_path: Path, kind: str) -> None:
    path = document(tmp_path / f"a.{kind}").rename(tmp_path / "a.bin")
    assert kind_of(path) == kind
    assert f".{kind}" in MEDIA_SUFFIXES


def test_other_archives_are_no_documents(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "text")
        archive.write(document(tmp_path / "a.docx"), "a.docx")
    assert kind_of(path) == ""
    assert code_of(path)[0] == "unsupported_format"


def test_a_document_that_is_cut(tmp_path: Path) -> None:
    path = document(tmp_path / "a.docx", "".join(map(chr, range(48, 900))))
    path.write_bytes(path.read_bytes()[:-200])
    assert code_of(path)[0] == "truncated"


@pytest.mark.parametrize("kind", [*KINDS, *OPEN])
def test_without_libreoffice_it_is_said_what_to_do(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    code, message = code_of(document(tmp_path / f"a.{kind}"))
    assert code == "unsupported_format"
    assert "install LibreOffice, or export it as PDF" in message
    assert kind in message


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A program by the name of LibreOffice, to be written; where `/tmp` does not hide it."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        yield Path(folder, "soffice")


def write(program: Path, script: str) -> None:
    program.write_text("#!/bin/bash\n" + script)
    program.chmod(0o755)


def test_the_program_gets_at_nothing(tmp_path: Path, program: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
        secret = Path(place, "secret")
        secret.write_text("secret")
        environ = f"/proc/{os.getpid()}/environ"
        tries = [f"cat {path}" for path in (secret, environ, "/etc/passwd")]
        tries += [f"touch {place}/new", f"ls {place}", f"kill -0 {os.getpid()}"]
        tries.append("echo > /dev/udp/192.0.2.1/9")
        lines = [f"if {one} > /dev/null 2>&1; then echo '{one}'; fi" for one in tries]
        write(program, f"({'; '.join(lines)}; echo end) > medium.pdf")
        path = document(tmp_path / "a.docx")
        with path.open("rb") as file, office.as_pdf(path, file.fileno(), Limits()) as (made, kind):
            reached = os.pread(made, 1 << 16, 0).decode().splitlines()
    assert kind == "docx"
    assert reached[-1] == "end"
    if confinement().landlock:
        assert reached == ["end"]
    elif os.geteuid() == 0:
        assert environ not in " ".join(reached)


def test_a_program_that_does_not_end_is_ended(
    tmp_path: Path, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(office, "_MOST_S", 3)
    write(program, "sleep 1000 & sleep 1000")
    began = time.monotonic()
    assert code_of(document(tmp_path / "a.docx"))[0] == "decoder_timeout"
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("script", ["exit 1", "ln -s /etc/passwd medium.pdf", "mkdir medium.pdf"])
def test_what_is_no_pdf_is_not_taken_for_one(tmp_path: Path, program: Path, script: str) -> None:
    write(program, script)
    assert code_of(document(tmp_path / "a.docx"))[0] == "corrupt"


@pytest.fixture(scope="module")
def libreoffice() -> None:
    if shutil.which("soffice"):
        return
    packages = [f"libreoffice-{name}-nogui" for name in ("writer", "calc", "impress")]
    subprocess.run(["apt-get", "update", "-qq"], check=True)
    command = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *packages]
    subprocess.run(command, check=True, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})


@pytest.mark.ci
@pytest.mark.usefixtures("libreoffice")
@pytest.mark.parametrize("kind", [*KINDS, *OPEN])
def test_libreoffice_reads_it(tmp_path: Path, kind: str) -> None:
    path = document(tmp_path / f"a.{kind}").rename(tmp_path / "a.bin")
    info, *rest = decode(path, PLAN)
    assert isinstance(info, MediaInfo)
    assert (info.kind, info.container, info.pages) == ("document", kind, 1)
    (shard,) = (one for one in rest if isinstance(one, Shard))
    (row,) = shard.rows.to_pylist()
    assert "Kingfisher report" in row["text"]
    assert not row["is_blank"]
    assert "Kingfisher report" in [line["text"] for line in row["lines"]]


@pytest.mark.ci
@pytest.mark.usefixtures("libreoffice")
def test_libreoffice_follows_no_link(tmp_path: Path) -> None:
    """A section of another file, which a text may ask for."""
    other = document(tmp_path / "other.odt", "a secret in a file")
    path = tmp_path / "a.odt"
    link = f'<text:section-source xlink:href="file://{other}"/>'
    text = f'public</text:p><text:section text:name="s">{link}<text:p>kept</text:p></text:section>'
    document(path, text + "<text:p>end")
    whole = " ".join(
        row["text"]
        for one in decode(path, PLAN)
        if isinstance(one, Shard)
        for row in one.rows.to_pylist()
    )
    assert "public" in whole
    assert "secret" not in whole


@pytest.mark.ci
@pytest.mark.usefixtures("libreoffice")
def test_what_libreoffice_cannot_read_is_corrupt(tmp_path: Path) -> None:
    path = document(tmp_path / "a.docx", "<w:broken")
    assert code_of(path)[0] == "corrupt"

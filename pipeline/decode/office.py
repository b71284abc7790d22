"""Office: documents of word processors, spreadsheets and slides as PDF, by LibreOffice.

It opens hundreds of files, so fewer walls stand around it than around our decoders: no network, a
user of its own where root can give one, bounds of memory and time. Where it is not installed such a
document is a failure.
"""

import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from pipeline.decode.confine.office import OWN_USER
from pipeline.decode.launch import START
from pipeline.decode.listen import named
from pipeline.decode.sniff import HEAD_BYTES
from schemas.errors import InputError

_PROGRAMS: Final = (
    "soffice",
    "libreoffice",
    "/Applications/LibreOffice.app/Contents/MacOS/soffice",
)
_LONGEST_S: Final = 300.0
_LOCAL: Final = struct.Struct("<4s22xH")  # of a member of a zip: mark and length of its name
_NAME_AT: Final = 30
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_FOLDERS: Final = {b"word/": "docx", b"ppt/": "pptx", b"xl/": "xlsx"}
_OPEN: Final = {b"text": "odt", b"presentation": "odp", b"spreadsheet": "ods"}
_OPEN_TYPE: Final = b"application/vnd.oasis.opendocument."
_FIRST: Final = (b"[Content_Types].xml", b"_rels/", b"docProps/", *_FOLDERS)
_TAIL: Final = 1 << 20  # bytes at the end of a zip, where its names are


@contextmanager
def as_pdf(path: Path) -> Iterator[Path]:
    """A file itself, or an office document as PDF for as long as the block runs.

    Raises:
        InputError: `unsupported_format`, without LibreOffice; `decoder_timeout`; `corrupt`; and
            what the block raises, in the name of the file.
    """
    kind = office_kind(path)
    if not kind:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="reelpage-") as folder:
        document = _converted(path, Path(folder), kind)
        try:
            yield document
        except InputError as error:
            message = error.message.replace(str(document), str(path))
            raise InputError(error.code, message) from error


def office_kind(path: Path) -> str:
    """What an office document is, such as "docx", by its first bytes; empty for any other file."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return ""  # opening it as a medium says why
    if head.startswith(_OLE):
        return "doc"
    if not head.startswith(b"PK\3\4") or len(head) < _NAME_AT:
        return ""
    length = _LOCAL.unpack_from(head)[1]
    name, data = head[_NAME_AT : _NAME_AT + length], head[_NAME_AT + length :]
    if name == b"mimetype" and data.startswith(_OPEN_TYPE):
        rest = data.removeprefix(_OPEN_TYPE)
        return next((kind for word, kind in _OPEN.items() if rest.startswith(word)), "")
    if not name.startswith(_FIRST):
        return ""
    return _open_xml(path)


def office_program() -> str | None:
    """LibreOffice's program, if it is installed."""
    return next(filter(None, map(shutil.which, _PROGRAMS)), None)


def _open_xml(path: Path) -> str:
    """Which of the three it is, by the names at the end of the zip; empty if none."""
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(file.tell() - _TAIL, 0))
        names = file.read()
    return next((kind for folder, kind in _FOLDERS.items() if folder in names), "")


def _converted(path: Path, folder: Path, kind: str) -> Path:
    office = office_program()
    if office is None:
        reason = f"it is an office document ({kind}); install LibreOffice, or export it as PDF"
        raise named(path, "unsupported_format", reason)
    source = folder / f"document.{kind}"
    shutil.copyfile(path, source)
    if os.geteuid() == 0:
        for one in (folder, source):
            os.chown(one, OWN_USER, OWN_USER)
    search = [str(Path(place).absolute()) for place in sys.path]
    command = [
        *(sys.executable, "-I", "-B", "-c", START, str(folder), office),
        *("pipeline.decode.confine.office", "\n".join(search)),
    ]
    _run(path, command, folder)
    made = source.with_suffix(".pdf")
    if not made.is_file() or made.is_symlink():
        reason = "LibreOffice cannot read it; open it and export it as PDF"
        raise named(path, "corrupt", reason)
    return made


def _run(path: Path, command: list[str], folder: Path) -> None:
    environment = {
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PATH": "/usr/bin:/bin",
        "LC_ALL": "C.UTF-8",
    }
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
        cwd=folder,
        start_new_session=True,
    ) as process:
        try:
            process.wait(_LONGEST_S)
        except subprocess.TimeoutExpired as error:
            reason = f"LibreOffice took more than {_LONGEST_S:g} s; export it as PDF"
            raise named(path, "decoder_timeout", reason) from error
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

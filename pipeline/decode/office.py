"""Office: text, tables and slides of Office as a PDF, by LibreOffice behind walls of its own.

LibreOffice is a large program that reads hostile bytes, so it is started anew for each document,
in a folder of its own, see `confine.program`; its PDF is a medium like any other.
"""

import json
import os
import shutil
import signal
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISREG
from typing import Final

from pipeline.decode.launch import ENVIRONMENT, command
from pipeline.decode.listen import named
from pipeline.decode.plan import Limits
from schemas.errors import InputError

FILTERS: Final = {
    "docx": ("MS Word 2007 XML", "writer_pdf_Export"),
    "xlsx": ("Calc MS Excel 2007 XML", "calc_pdf_Export"),
    "pptx": ("Impress MS PowerPoint 2007 XML", "impress_pdf_Export"),
    "odt": ("writer8", "writer_pdf_Export"),
    "ods": ("calc8", "calc_pdf_Export"),
    "odp": ("impress8", "impress_pdf_Export"),
}
"""How LibreOffice reads each kind, so that it tries no other of its many, and writes a PDF."""
_FOLDERS: Final = {b"word": "docx", b"xl": "xlsx", b"ppt": "pptx"}
_OPEN: Final = {b"text": "odt", b"spreadsheet": "ods", b"presentation": "odp"}
_OPEN_TYPE: Final = b"application/vnd.oasis.opendocument."
_LIST_OF_TYPES: Final = b"[Content_Types].xml"

_HEAD, _TAIL = 4096, 1 << 20
_MEMBER, _LISTED, _END = b"PK\3\4", b"PK\1\2", b"PK\5\6"
_SUMMARY: Final = struct.Struct("<12xII2x")  # of an archive: bytes of the list, and where it is
_ENTRY: Final = struct.Struct("<28xHHH12x")  # of a member: bytes of name, extra field and comment
_LATE: Final = signal.SIGXCPU
_MOST_BYTES: Final = 256 << 20
_MOST_S: Final = 180
_MEMORY_BYTES: Final = 512 << 20  # of its own, beside that of the document


def libreoffice() -> str | None:
    """Path of the program, if there is one."""
    return shutil.which("soffice") or shutil.which("libreoffice")


@contextmanager
def as_pdf(path: Path, medium: int, limits: Limits) -> Iterator[tuple[int, str]]:
    """A medium that is decoded, and the kind of Office document that it is of, if any.

    Args:
        path: of the medium, for messages.
        medium: its descriptor.
        limits: of memory.

    Raises:
        InputError: there is no LibreOffice, or it makes no PDF of the document.
    """
    kind = office_kind(path, medium)
    if not kind:
        yield medium, ""
        return
    program = libreoffice()
    if program is None:
        reason = f"an Office document ({kind}): install LibreOffice, or export it as PDF"
        raise named(path, "unsupported_format", reason)
    with tempfile.TemporaryDirectory(prefix="reelpage-office-") as folder:
        own = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _copy(path, medium, Path(folder, f"medium.{kind}"))
            status = _convert(path, program, Path(folder), kind, limits)
            pdf = _made(path, own, status)
            try:
                yield pdf, kind
            finally:
                os.close(pdf)
        finally:
            os.close(own)


def office_kind(path: Path, medium: int) -> str:
    """Which kind of Office document a file is, by the names of its members; "" for none.

    Raises:
        InputError: `truncated`.
    """
    head = os.pread(medium, _HEAD, 0)
    if not head.startswith(_MEMBER):
        return ""
    first, content = _first(head)
    if first == b"mimetype":
        subject = content.split(_MEMBER)[0].removeprefix(_OPEN_TYPE)
        return _OPEN.get(subject, "")
    names = _names(medium)
    if names is None and first == _LIST_OF_TYPES:
        raise named(path, "truncated", "the document ends before its content; fetch it again")
    if not names or _LIST_OF_TYPES not in names:
        return ""
    folders = (name.split(b"/")[0] for name in names)
    return next((_FOLDERS[folder] for folder in folders if folder in _FOLDERS), "")


def _first(head: bytes) -> tuple[bytes, bytes]:
    """Name and content of the first member."""
    length, more = (int.from_bytes(head[at : at + 2], "little") for at in (26, 28))
    return head[30 : 30 + length], head[30 + length + more :]


def _names(medium: int) -> list[bytes] | None:
    """Names of the members, by the list at the end of the archive; None if there is no list."""
    start = max(0, os.fstat(medium).st_size - _TAIL)
    end = os.pread(medium, _TAIL, start)
    at = end.rfind(_END)
    if at < 0 or len(end) < at + _SUMMARY.size:
        return None
    size, place = _SUMMARY.unpack_from(end, at)
    listed, names, at = os.pread(medium, min(size, _TAIL), place), [], 0
    while listed.startswith(_LISTED, at) and len(listed) >= at + _ENTRY.size:
        name, *more = _ENTRY.unpack_from(listed, at)
        at += _ENTRY.size
        names.append(listed[at : at + name])
        at += name + sum(more)
    return names


def _copy(path: Path, medium: int, target: Path) -> None:
    size = os.fstat(medium).st_size
    if size > _MOST_BYTES:
        reason = f"it has more than {_MOST_BYTES >> 20} MiB; export it as PDF"
        raise named(path, "too_large", reason)
    os.lseek(medium, 0, os.SEEK_SET)
    with open(medium, "rb", closefd=False) as source, target.open("wb") as sink:
        shutil.copyfileobj(source, sink)
    target.chmod(0o644)


def _convert(path: Path, program: str, folder: Path, kind: str, limits: Limits) -> int:
    """Have the PDF made; the program's exit code.

    Raises:
        InputError: `decoder_timeout`.
    """
    order = {
        "program": program,
        "folder": str(folder),
        "kind": kind,
        "memory_bytes": limits.memory_bytes + _MEMORY_BYTES,
        "cpu_s": _MOST_S,
    }
    process = subprocess.Popen(
        command("pipeline.decode.soffice", json.dumps(order)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=ENVIRONMENT,
        cwd="/",
        start_new_session=True,
    )
    try:
        status = process.wait(_MOST_S)
    except subprocess.TimeoutExpired:
        status = -_LATE
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if status == -_LATE:
        reason = f"LibreOffice took more than {_MOST_S} s; split it, or export it as PDF"
        raise named(path, "decoder_timeout", reason)
    return status


def _made(path: Path, folder: int, status: int) -> int:
    """The PDF, opened without following where a name made by a stranger leads."""
    try:
        found = os.open(
            "medium.pdf", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder
        )
    except OSError as error:
        raise _unreadable(path, status) from error
    facts = os.fstat(found)
    if not S_ISREG(facts.st_mode) or not facts.st_size:
        os.close(found)
        raise _unreadable(path, status)
    return found


def _unreadable(path: Path, status: int) -> InputError:
    why = f"LibreOffice made no PDF of it (status {status}): it is damaged, huge or locked"
    return named(path, "corrupt", f"{why}; export it as PDF")

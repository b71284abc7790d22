"""Archives: members of zip and tar files as media, read where they lie, never unpacked whole.

A member of a tar, as of WebDataset, and one that a zip only stores, is a byte range of the file;
one that a zip compresses is taken out alone, up to a bound.
"""

import lzma
import os
import struct
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from pipeline.consume import MEDIA_SUFFIXES, Input, failed_input, kind_of, quoted
from schemas.errors import InputError
from schemas.jobs import MediaReference

_BLOCK: Final = 1 << 20
_LOCAL: Final = struct.Struct("<26xHH")  # of a member in a zip: lengths of its name and extra field
_ENCRYPTED: Final = 1
_METHODS: Final = frozenset(
    (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
)


def members(path: Path, uri: str, ignored: Counter[str]) -> Iterator[MediaReference | Input]:
    """Media in an archive that is a file; see `members_of`."""
    try:
        with path.open("rb") as file:
            yield from members_of(file, uri, ignored)
    except OSError as error:
        yield _unread(uri, error)


def members_of(file: BinaryIO, uri: str, ignored: Counter[str]) -> Iterator[MediaReference | Input]:
    """Media in an archive, in its order; what is wrong with one, or with the rest, as its error.

    Args:
        file: the archive.
        uri: what names it in jobs.
        ignored: counts members that are no media, by suffix.
    """
    try:
        if zipfile.is_zipfile(file):
            yield from _of_zip(file, uri, ignored)
        else:
            file.seek(0)
            yield from _of_tar(file, uri, ignored)
    except (tarfile.TarError, zipfile.BadZipFile, OSError, ValueError, EOFError) as error:
        yield _unread(uri, error)


def extract(path: Path, reference: MediaReference, target: Path, most: int) -> None:
    """Take one member of a zip out.

    Raises:
        InputError: `not_found`, `member_refused`, `too_large` or `corrupt`.
    """
    name, address = reference.member or "", quoted(reference.address)
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(name).flag_bits & _ENCRYPTED:
                raise _refused(address, "it is encrypted; pack it again without a password")
            with archive.open(name) as source, target.open("wb") as sink:
                left = most
                while block := source.read(_BLOCK):
                    left -= len(block)
                    if left < 0:
                        message = f"{address}: has more than {most} bytes unpacked; split it"
                        raise InputError("too_large", message)
                    sink.write(block)
    except KeyError as error:
        message = f"{address}: the archive has no such member; list it again"
        raise InputError("not_found", message) from error
    except (zipfile.BadZipFile, NotImplementedError, EOFError, zlib.error, lzma.LZMAError) as error:
        message = f"{address}: cannot be unpacked ({error}); fetch or pack the archive again"
        raise InputError("corrupt", message) from error


def _of_zip(file: BinaryIO, uri: str, ignored: Counter[str]) -> Iterator[MediaReference | Input]:
    with zipfile.ZipFile(file) as archive:
        for one in archive.infolist():
            if one.is_dir() or not _is_medium(one.filename, ignored):
                continue
            reference = MediaReference(uri, member=one.filename)
            if why := _why_refused(one.filename):
                yield _failed(reference, why)
            elif one.flag_bits & _ENCRYPTED:
                yield _failed(reference, "it is encrypted; pack it again without a password")
            elif one.compress_type not in _METHODS:
                yield _failed(reference, "is packed in a way that is not read; pack it as deflate")
            elif one.compress_type == zipfile.ZIP_STORED:
                file.seek(one.header_offset)
                name, extra = _LOCAL.unpack(file.read(_LOCAL.size))
                start = one.header_offset + _LOCAL.size + name + extra
                yield MediaReference(uri, start, one.file_size, member=one.filename)
            else:
                yield reference


def _of_tar(file: BinaryIO, uri: str, ignored: Counter[str]) -> Iterator[MediaReference | Input]:
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    with tarfile.open(fileobj=file, mode="r:") as archive:
        for one in archive:
            if not one.isreg() or not _is_medium(one.name, ignored):
                continue
            reference = MediaReference(uri, one.offset_data, one.size, member=one.name)
            if why := _why_refused(one.name):
                yield _failed(reference, why)
            elif one.offset_data + one.size > length:
                message = f"{quoted(reference.address)}: the archive ends within it; fetch it again"
                yield failed_input(reference.address, InputError("truncated", message))
                return
            elif one.sparse:
                yield _failed(reference, "is sparse; pack it as an ordinary file")
            else:
                yield reference


def _unread(uri: str, error: Exception) -> Input:
    message = f"{quoted(uri)}: the archive cannot be read ({error}); fetch or pack it again"
    return failed_input(uri, InputError("corrupt", message))


def _is_medium(name: str, ignored: Counter[str]) -> bool:
    plain = PurePosixPath(name).name
    if PurePosixPath(plain).suffix.lower() in MEDIA_SUFFIXES and not plain.startswith("."):
        return True
    ignored[kind_of(plain)] += 1
    return False


def _why_refused(name: str) -> str:
    """What is wrong with a name, which only ever names: nothing is written under it."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if name.startswith(("/", "\\")) or ".." in parts or "\0" in name:
        return "its name climbs out of the archive; pack it again"
    return ""


def _failed(reference: MediaReference, why: str) -> Input:
    return failed_input(reference.address, _refused(quoted(reference.address), why))


def _refused(address: str, why: str) -> InputError:
    return InputError("member_refused", f"{address}: {why}")

"""Sources: the bytes of a job's medium as a local file, from wherever the reference points."""

import base64
import binascii
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from pipeline.consume import (
    Input,
    failed_input,
    open_input,
    quoted,
    subtitles_beside,
    with_subtitles,
)
from schemas.errors import InputError, ReelpageError, TransientError
from schemas.jobs import Job, MediaReference
from services.ingest.archives import extract
from services.ingest.fetch import fetch
from services.ingest.texts import read_text
from services.settings import Settings
from services.storage.objects import download, sparse

_BLOCK: Final = 1 << 20
_FILE: Final = "file://"


class Sources:
    """Opens the media of jobs; files on this machine only below the allowed roots."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._roots = [root.resolve() for root in settings.roots]

    @contextmanager
    def open(self, job: Job, known_as: str = "") -> Iterator[Input]:
        """The medium as a local file, downloaded for as long as the block runs.

        A medium that cannot be had is an input with its error: whatever a service says of one
        medium, none but a passing fault may end in anything but a failure of this medium.

        Args:
            job: names the medium.
            known_as: its id, if that is known: then of a range only what is read is fetched.

        Raises:
            TransientError: the network or the store failed; a later attempt may succeed.
        """
        with tempfile.TemporaryDirectory(prefix="reelpage-") as folder:
            try:
                source = self._opened(job, Path(folder), known_as)
            except TransientError:
                raise
            except ReelpageError as error:
                source = failed_input(job.media.address, error)
            yield source

    def _opened(self, job: Job, folder: Path, known_as: str) -> Input:
        target, media = folder / "medium", job.media
        if known_as and job.range is not None and is_object(media):
            file = sparse(self._settings, media, target)
            return Input(media.address, target, known_as, file.size, fill=file.fill)
        path = self.local(job, target)
        texts = self.subtitles(job, folder / "subtitles")
        return with_subtitles(open_input(path, media.address), texts)

    def subtitles(self, job: Job, target: Path) -> list[str]:
        """Texts of the subtitle files that go with the medium; empty of one that cannot be had.

        Args:
            job: names them.
            target: file that those which are downloaded pass through.

        Raises:
            TransientError: the network or the store failed.
        """
        texts = []
        for uri in job.media.subtitles:
            try:
                path = self.local(replace(job, media=MediaReference(uri), payload=None), target)
                texts.append(read_text(path))
            except TransientError:
                raise
            except (ReelpageError, OSError):
                texts.append("")
            target.unlink(missing_ok=True)
        return texts

    def local(self, job: Job, target: Path) -> Path:
        """Where the medium's bytes are: its own file, or `target` once they have been copied there.

        Raises:
            TransientError: the network or the store failed.
            InputError, SetupError: the medium cannot be had.
        """
        reference = job.media
        if job.payload is not None:
            target.write_bytes(_decoded(job))
            return target
        if _is_packed(reference):
            return self._unpacked(job, target)
        scheme = reference.uri.partition("://")[0].lower()
        if is_object(reference):
            download(self._settings, reference, target)
            return target
        if "://" in reference.uri and scheme != "file":  # what is no URL of the web, it refuses
            fetch(reference.uri, target, max_bytes=self._settings.max_bytes)
            return _slice(target, reference)
        path = local_path(reference.uri)
        self._check_root(path)
        return _slice(path, reference, target)

    def _unpacked(self, job: Job, target: Path) -> Path:
        """A member of a zip, taken out of the whole archive."""
        whole = replace(job.media, member=None)
        archive = target.with_suffix(".archive")
        try:
            path = self.local(replace(job, media=whole), archive)
            extract(path, job.media, target, self._settings.max_bytes)
        finally:
            archive.unlink(missing_ok=True)
        return target

    def _check_root(self, path: Path) -> None:
        """Refuse files outside the roots, also behind links.

        Raises:
            InputError: `url_refused`.
        """
        real = path.resolve()
        if not path.is_absolute() or not any(real.is_relative_to(root) for root in self._roots):
            message = (
                f"{quoted(path)}: is not below a folder that this worker may read; "
                "name its folder in REELPAGE_ROOTS, or copy the file to object storage"
            )
            raise InputError("url_refused", message)


def _is_packed(reference: MediaReference) -> bool:
    """Whether it is a member of an archive that is not there byte by byte."""
    return reference.member is not None and reference.length is None


def is_object(reference: MediaReference) -> bool:
    """Whether a medium is an object of a store, or a range of its bytes."""
    return reference.uri.lower().startswith("s3://") and not _is_packed(reference)


def local_path(uri: str) -> Path:
    """The file that a path, or a `file://` address, names."""
    if uri.startswith(_FILE):
        return Path(os.fsdecode(unquote_to_bytes(uri.removeprefix(_FILE))))
    return Path(uri)


def address(path: Path) -> str:
    """What names a file in a job: its path, or a `file://` address where that is no UTF-8."""
    text = str(path.absolute())
    try:
        text.encode()
    except UnicodeEncodeError:
        return _FILE + quote(os.fsencode(text))
    return text


def referred(path: Path) -> MediaReference:
    """A file as a job refers to it, with the subtitle files that lie beside it."""
    return MediaReference(address(path), subtitles=tuple(map(address, subtitles_beside(path))))


def _decoded(job: Job) -> bytes:
    try:
        return base64.b64decode(job.payload or "", validate=True)
    except (binascii.Error, ValueError) as error:
        message = f"job {job.id}: the payload is no base64 ({error})"
        raise InputError("bad_job", message) from error


def _slice(path: Path, reference: MediaReference, target: Path | None = None) -> Path:
    """The byte range of a file that a reference names, copied unless it is the whole file."""
    if reference.offset == 0 and reference.length is None:
        return path
    target = target or path.with_suffix(".range")
    left = reference.length
    try:
        with path.open("rb") as whole, target.open("wb") as part:
            whole.seek(reference.offset)
            while left is None or left > 0:
                block = whole.read(_BLOCK if left is None else min(_BLOCK, left))
                if not block:
                    break
                part.write(block)
                left = None if left is None else left - len(block)
    except FileNotFoundError:
        return path  # opening it says so
    return target

"""Store: named objects in a folder, written whole or not at all, and the shards of a medium."""

import errno
import fcntl
import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Final

import pyarrow as pa

from pipeline.land.place import Objects, Place
from schemas.errors import InputError, SetupError
from schemas.shards import Shard

FORGOTTEN: Final = "forgotten/"
"""What the names of objects begin with that keep a medium away ..."""
KNOWN: Final = "known/"
"""... of those that say what an object of a store was found to be ..."""
CLAIMS: Final = "claims/"
"""... and under which key all work on a medium is done."""
_HALF_WRITTEN: Final = re.compile(r"\..+\.\d+-\d+")


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn a full or read-only disk into one line with the remedy.

    Raises:
        SetupError: `disk_full` or `lake_not_writable`.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error):
            message = f"{folder}: the disk is full; free some room and run the same command again"
            raise SetupError("disk_full", message) from error
        if isinstance(error, PermissionError | NotADirectoryError | FileExistsError) or (
            error.errno == errno.EROFS
        ):
            message = f"{folder}: cannot be written ({error.strerror}); choose another --to folder"
            raise SetupError("lake_not_writable", message) from error
        raise


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees all of it or none, also after a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_native_id()}")
    try:
        with new.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


class Folder:
    """Objects as the files of a folder.

    What a killed process left half written has a name of its own, `.NAME.PID-THREAD`; `names` gives
    it too, so that it can be found and removed.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, name: str, data: bytes) -> None:
        """Store an object, durable when this returns.

        Raises:
            SetupError: `disk_full` or `lake_not_writable`.
        """
        with disk_errors(self._root):
            write_whole(self._path(name), data)

    def get(self, name: str) -> bytes | None:
        """The bytes of an object, or None."""
        try:
            return self._path(name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def get_version(self, name: str) -> tuple[bytes | None, str]:
        """The bytes of an object and their digest; None and "" if there is none."""
        data = self.get(name)
        return data, "" if data is None else hashlib.sha256(data).hexdigest()

    def replace(self, name: str, data: bytes, version: str) -> bool:
        """Store an object if what is there is of a version; False if it is not."""
        with disk_errors(self._root), _alone(self._root):
            same = self.get_version(name)[1] == version
            if same:
                write_whole(self._path(name), data)
            return same

    def delete(self, name: str) -> None:
        """Remove an object; no error if there is none."""
        with disk_errors(self._root):
            self._path(name).unlink(missing_ok=True)

    def names(self, prefix: str) -> Iterator[str]:
        """Names that begin with a prefix, in order."""
        folder = self._root / prefix.rpartition("/")[0]
        paths = (path for path in folder.rglob("*") if path.is_file())
        names = (path.relative_to(self._root).as_posix() for path in paths)
        yield from sorted(name for name in names if name.startswith(prefix))

    def _path(self, name: str) -> Path:
        """Where an object is; names may come from messages, and never lead out of the folder."""
        parts = PurePosixPath(name).parts
        if not parts or parts[0] == "/" or ".." in parts:
            message = f"{name!r}: is no name of an object"
            raise ValueError(message)
        return self._root.joinpath(*parts)


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """No other process is in this block for the same folder, nor another thread of this one."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".replace.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def is_half_written(name: str) -> bool:
    """Whether a name is that of an object which a killed process has left half written."""
    return _HALF_WRITTEN.fullmatch(PurePosixPath(name).name) is not None


def sweep(root: Path, age_s: float) -> list[str]:
    """Remove what killed writers left half written in a folder; returns its names.

    Args:
        root: of the lake.
        age_s: seconds; younger files may be in the hands of a living one.
    """
    removed = []
    for path in root.rglob(".*"):
        if is_half_written(path.name) and time.time() - path.stat().st_mtime > age_s:
            path.unlink(missing_ok=True)
            removed.append(path.relative_to(root).as_posix())
    return removed


def local_place(root: Path) -> Place:
    """A lake in a folder."""
    return Place(str(root.absolute()), Folder(root))


def is_forgotten(objects: Objects, media_id: str) -> bool:
    """Whether a medium was removed on request and must not be indexed again."""
    return objects.get(FORGOTTEN + media_id) is not None


def forgotten(objects: Objects) -> Iterator[str]:
    """Media that were removed on request, and digests of the places where they were found."""
    for name in objects.names(FORGOTTEN):
        if not is_half_written(name):
            yield name.removeprefix(FORGOTTEN)
            yield from json.loads(objects.get(name) or b"{}").get("found_at", ())


def sampling_id(sampling: str) -> str:
    """A sampling, as it stands in the tables, as a name for folders: 12 hex digits."""
    return hashlib.sha256(sampling.encode()).hexdigest()[:12]


class ShardStore:
    """The shards of one medium under one sampling: `shards/<media id>/<sampling id>/`."""

    def __init__(self, objects: Objects, media_id: str, sampling_id: str) -> None:
        self._objects = objects
        self._folder = f"shards/{media_id[:2]}/{media_id}/{sampling_id}"

    def name(self, part: int) -> str:
        """Name of a part's object, as it stands in the tables."""
        return f"{self._folder}/{part:06}.arrow"

    def keep(self, shard: Shard) -> Shard:
        """Keep a shard, unless its part has one: then that one counts, and is returned.

        So all attempts at a part give the same rows, also of a page that fails now and then. One
        whose pictures of subtitles were not drawn gets these, and nothing else.
        """
        name = self.name(shard.part)
        if self._objects.replace(name, shard.to_ipc(), ""):
            return shard
        data, version = self._objects.get_version(name)
        kept = shard if data is None else Shard.from_ipc(data)
        if kept.cue_pictures is None and shard.cue_pictures is not None:
            kept = replace(kept, cue_pictures=shard.cue_pictures)
            self._objects.replace(name, kept.to_ipc(), version)  # else another attempt has done it
        return kept

    def extend(self, more: Shard) -> Shard:
        """Add pages to a shard behind those it has, once each; returns the whole."""
        name = self.name(more.part)
        while True:
            data, version = self._objects.get_version(name)
            whole = more if data is None else _joined(Shard.from_ipc(data), more)
            if self._objects.replace(name, whole.to_ipc(), version):
                return whole

    def read(self, part: int) -> Shard | None:
        """A shard kept earlier, or None."""
        data = self._objects.get(self.name(part))
        return None if data is None else Shard.from_ipc(data)

    def has(self, first: int, stop: int) -> bool:
        """Whether all parts of `[first, stop)` are kept."""
        kept = set(self._objects.names(f"{self._folder}/"))
        return all(self.name(part) in kept for part in range(first, stop))


def _joined(kept: Shard, more: Shard) -> Shard:
    known = set(kept.rows.column("page_no").to_pylist())
    # Not by pyarrow.compute: every command would import it with this module.
    is_new = [number not in known for number in more.rows.column("page_no").to_pylist()]
    new = more.rows.filter(pa.array(is_new, pa.bool_()))
    return replace(more, rows=pa.concat_batches([kept.rows, new.cast(kept.rows.schema)]))


def read_shard(objects: Objects, name: str) -> Shard:
    """The shard that a row of `frames` or `pages` names.

    Raises:
        InputError: `not_found`, if it is gone.
    """
    data = objects.get(name)
    if data is None:
        message = f"{name}: the lake has lost this shard; restore it, or index its medium anew"
        raise InputError("not_found", message)
    return Shard.from_ipc(data)

"""Lake: a folder of tables and objects, held by one process that writes to it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.land.place import Place
from pipeline.land.store import disk_errors, local_place
from pipeline.land.tables import check_version
from schemas.errors import SetupError, TransientError


@contextmanager
def open_lake(root: Path) -> Iterator[Place]:
    """A lake in a folder, made if it is missing, for this process alone.

    Raises:
        SetupError: `lake_not_writable`, `lake_locked`, `lake_newer`, `lake_older`, `lake_corrupt`
            or `disk_full`, naming the folder and the remedy.
    """
    try:
        with disk_errors(root):
            root.mkdir(parents=True, exist_ok=True)
            lock = _lock(root, fcntl.LOCK_EX)
    except OSError as error:
        message = f"{root}: cannot be written ({error.strerror}); choose another --to folder"
        raise SetupError("lake_not_writable", message) from error
    try:
        place = local_place(root)
        check_version(place, write=True)
        yield place
    finally:
        os.close(lock)


def share(root: Path) -> None:
    """Keep out who wants a lake's folder alone, for as long as this process lives.

    Raises:
        TransientError: `lake_locked`, while one of them has it.
    """
    try:
        _lock(root, fcntl.LOCK_SH)
    except SetupError as error:
        raise TransientError(error.code, error.message) from error


def _lock(root: Path, kind: int) -> int:
    """Take the lake's lock; the kernel releases it whichever way the process ends."""
    descriptor = os.open(root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        message = f"{root}: another reelpage process is indexing into it; wait or stop it"
        raise SetupError("lake_locked", message) from error
    return descriptor

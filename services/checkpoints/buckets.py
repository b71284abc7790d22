"""Buckets: a checkpoint below a prefix of a bucket, in the user's cache under its digest."""

import errno
import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Final

from schemas.errors import ReelpageError, SetupError, TransientError
from services.checkpoints.address import Address
from services.checkpoints.cache import TAKEN, folder
from services.settings import Settings
from services.storage.places import open_place

if TYPE_CHECKING:
    from services.storage.bucket import Bucket

_DIGITS: Final = 16
Objects = Mapping[str, tuple[str, int]]


def copy(address: Address, settings: Settings) -> Path:
    """The folder of a checkpoint, named by its objects' names and etags; copied where it is not.

    Raises:
        SetupError: `usage`, `model_missing`, `disk_full`, or that the store refuses.
        TransientError: `store_failed`, or `fetch_failed` if an object changes meanwhile.
    """
    from services.storage.bucket import Bucket

    store = open_place(str(address), settings).objects
    assert isinstance(store, Bucket)
    objects = _objects(store)
    if "config.json" not in objects:
        message = f"{address}: no config.json below it; give the prefix of a Qwen2-VL checkpoint"
        raise SetupError("model_missing", message)
    target = folder() / _digest(objects)
    if not target.is_dir():
        try:
            _fill(store, objects, address, target)
        except OSError as error:
            raise _unwritten(address, target, error) from error
    return target


def _objects(store: "Bucket") -> dict[str, tuple[str, int]]:
    """Etags and sizes of what a checkpoint is read from, by name; folders below it are none."""
    return {
        name: (etag, size)
        for name, etag, size in store.listed("")
        if "/" not in name and any(fnmatch(name, pattern) for pattern in TAKEN)
    }


def _digest(objects: Objects) -> str:
    return hashlib.sha256(repr(sorted(objects.items())).encode()).hexdigest()[:_DIGITS]


def _fill(store: "Bucket", objects: Objects, address: Address, target: Path) -> None:
    """Copy all objects to a folder of another name, and rename it: nobody sees a part of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    try:
        for name, (etag, size) in objects.items():
            found = store.download(name, partial / name, most=size, etag=etag)
            if found != "done" or (partial / name).stat().st_size != size:
                message = f"{address}/{name}: has changed, or ends too early; try again"
                raise TransientError("fetch_failed", message)
        with suppress(OSError):  # another process was first, and has the same
            partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    if not target.is_dir():
        message = f"{target}: cannot be made; remove what is there"
        raise SetupError("model_missing", message)


def _unwritten(address: Address, target: Path, error: OSError) -> ReelpageError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        message = f"{address}: no room for it in {target.parent}; free some, or set XDG_CACHE_HOME"
        return SetupError("disk_full", message)
    message = f"{address}: {target} cannot be written ({error.strerror}); set XDG_CACHE_HOME"
    return SetupError("model_missing", message)

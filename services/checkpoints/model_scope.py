"""ModelScope: a snapshot of a repository in that hub's own cache, pinned to a commit.

The hub's client compares digests, goes on after a dropped connection and knows mirrors, tokens and
caches by its own environment (MODELSCOPE_ENDPOINT, MODELSCOPE_API_TOKEN, MODELSCOPE_CACHE, ...).
It keeps a branch in one folder that changes, and has no way to work offline: so a commit is asked
for, and what was fetched whole is remembered here.
"""

import errno
import io
import logging
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext, redirect_stderr, suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

from schemas.errors import ReelpageError, SetupError, TransientError
from services.checkpoints.address import Address
from services.checkpoints.cache import TAKEN
from services.checkpoints.cache import folder as cache
from services.checkpoints.found import Checkpoint

_COMMIT: Final = re.compile(r"[0-9a-f]{40}")


def snapshot(address: Address, *, quiet: bool) -> Path:
    """The folder of a snapshot, named by its commit; downloaded where it is not here.

    Raises:
        SetupError: `model_missing` or `disk_full`.
        TransientError: `fetch_failed`.
    """
    try:
        from modelscope_hub import HubApi
        from modelscope_hub.errors import HubError
    except ImportError as error:
        message = f"{address}: needs ModelScope's client; pip install 'reelpage[modelscope]'"
        raise SetupError("model_missing", message) from error
    if (found := _remembered(address)) is not None:
        return found
    logging.getLogger("modelscope_hub").setLevel(logging.CRITICAL)  # said once, by the error
    hidden = quiet or not sys.stderr.isatty()
    try:
        with redirect_stderr(io.StringIO()) if hidden else nullcontext():
            api: Any = HubApi()
            files = api.legacy.list_repo_files(address.name, "model", address.revision or "master")
            commit = _commit(address, files)
            folder = api.download_repo(
                address.name, "model", revision=commit, allow_patterns=list(TAKEN)
            )
    except (HubError, OSError) as error:
        raise _meaning(address, error) from error
    _remember(address.name, commit, Path(folder))
    return Path(folder)


def _commit(address: Address, files: Sequence[Mapping[str, Any]]) -> str:
    """The commit to ask for: the newest that changed a file. A hub names no other for a branch."""
    if _COMMIT.fullmatch(address.revision):
        return address.revision
    taken = [one for one in files if any(fnmatch(one["Path"], name) for name in TAKEN)]
    newest = max(taken, key=lambda one: int(one["CommittedDate"]), default=None)
    if newest is None or not _COMMIT.fullmatch(str(newest.get("Revision"))):
        message = f"{address}: has no files of a checkpoint; check its name"
        raise SetupError("model_missing", message)
    return str(newest["Revision"])


def _mark(name: str, commit: str) -> Path:
    return cache() / "whole" / f"ms--{name.replace('/', '--')}--{commit}"


def _remembered(address: Address) -> Path | None:
    """The folder of a commit that was fetched whole, without asking the hub."""
    mark = _mark(address.name, address.revision)
    if not _COMMIT.fullmatch(address.revision) or not mark.exists():
        return None
    folder = Path(mark.read_text())
    return folder if folder.is_dir() else None


def remembered() -> Iterator[Checkpoint]:
    """Snapshots that were fetched whole and are still there."""
    for mark in sorted((cache() / "whole").glob("ms--*--*")):
        name, _, commit = mark.name.removeprefix("ms--").rpartition("--")
        if (folder := Path(mark.read_text())).is_dir():
            yield Checkpoint(folder, f"ms://{name.replace('--', '/', 1)}@{commit}")


def _remember(name: str, commit: str, folder: Path) -> None:
    mark = _mark(name, commit)
    with suppress(OSError):  # a home that cannot be written: the hub is asked at the next start too
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text(str(folder))


def _meaning(address: Address, error: Exception) -> ReelpageError:
    """What an error of the client means, and what to do."""
    from modelscope_hub import errors

    if isinstance(error, errors.FileDownloadError) and error.failed_files:
        error = next(one for one in error.failed_files.values() if isinstance(one, Exception))
    if isinstance(error, errors.AuthenticationError | errors.PermissionDeniedError):
        why = "the hub refuses it; set MODELSCOPE_API_TOKEN to a token that may read it"
    elif isinstance(error, errors.NotExistError):
        why = "there is no such repository or revision, or it is private; check its name, or set"
        why += " MODELSCOPE_API_TOKEN to a token that may read it"
    elif isinstance(error, errors.FileIntegrityError):
        why = "a file is not what the hub lists; try again or with another MODELSCOPE_ENDPOINT"
    elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        message = f"{address}: no room for it; free some, or set MODELSCOPE_CACHE elsewhere"
        return SetupError("disk_full", message)
    elif isinstance(error, PermissionError):
        why = f"{error.filename}: cannot be written; set MODELSCOPE_CACHE to a folder that can"
    else:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        message = f"{address}: could not be downloaded ({reason}); try again, or name a commit that"
        return TransientError("fetch_failed", f"{message} is here")
    return SetupError("model_missing", f"{address}: {why}")

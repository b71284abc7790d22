"""Hugging Face: a snapshot of a repository in the hub's own cache, pinned to its commit.

The hub's client knows mirrors, tokens, proxies and how to work offline, by its own environment
(HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE, ...). It goes on after a dropped connection, and shares its
cache among processes. It does not compare digests; that is done here.
"""

import errno
import logging
import re
import sys
from pathlib import Path
from typing import Final

import httpx2
from huggingface_hub import snapshot_download
from huggingface_hub.constants import is_offline_mode
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils.logging import set_verbosity
from huggingface_hub.utils.tqdm import disable_progress_bars, enable_progress_bars

from schemas.errors import ReelpageError, SetupError, TransientError
from services.checkpoints.address import Address
from services.checkpoints.cache import TAKEN
from services.checkpoints.digests import damaged

_FORBIDDEN: Final = (401, 403)
_DIGEST: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def snapshot(address: Address, *, quiet: bool) -> Path:
    """The folder of a snapshot, named by its commit; downloaded where it is not here.

    Raises:
        SetupError: `model_missing` or `disk_full`.
        TransientError: `fetch_failed`.
    """
    set_verbosity(logging.ERROR)  # what goes wrong is said once, by the error
    (disable_progress_bars if quiet or not sys.stderr.isatty() else enable_progress_bars)()
    try:
        found = snapshot_download(
            address.name, revision=address.revision or None, allow_patterns=list(TAKEN)
        )
    except (OSError, HFValidationError, httpx2.HTTPError) as error:
        raise _meaning(address, error) from error
    folder = Path(found)
    if wrong := damaged(_listed(folder)):
        _remove(wrong)
        message = f"{address}: {wrong[0].name} is not what the hub lists (its digest is another)"
        message += "; it was removed, try again or with another HF_ENDPOINT"
        raise SetupError("model_missing", message)
    return folder


def _listed(folder: Path) -> dict[Path, str]:
    """Digests of a snapshot's files: in the cache each is a link to a blob that is named by it."""
    links = [path for path in folder.rglob("*") if path.is_symlink() and path.is_file()]
    names = {path: path.readlink().name for path in links}
    return {path: name for path, name in names.items() if _DIGEST.fullmatch(name)}


def _remove(paths: list[Path]) -> None:
    """Remove files and the blobs behind them, so that they are downloaded again."""
    for path in paths:
        path.resolve().unlink(missing_ok=True)
        path.unlink(missing_ok=True)


def _meaning(address: Address, error: Exception) -> ReelpageError:
    """What an error of the client means, and what to do."""
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else 0
    if isinstance(error, GatedRepoError):
        why = "is gated; accept its terms on its page and set HF_TOKEN to a token that may read it"
    elif isinstance(error, RevisionNotFoundError):
        why = f"the repository has no revision {address.revision!r}; check it"
    elif isinstance(error, RepositoryNotFoundError):
        why = "there is no such folder or repository, or it is private; check its name, or set"
        why += " HF_TOKEN to a token that may read it"
    elif isinstance(error, HFValidationError):
        why = "is no name of a repository; give hf://org/name[@revision]"
    elif status in _FORBIDDEN:
        why = f"the hub refuses it ({status}); set HF_TOKEN to a token that may read it"
    elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        message = f"{address}: no room for it; free some, or set HF_HOME to a larger disk's"
        return SetupError("disk_full", message)
    elif isinstance(error, PermissionError):
        why = f"{error.filename}: cannot be written; set HF_HOME to a folder that can"
    elif is_offline_mode():
        why = "is not in the cache, or not whole; fetch it once without HF_HUB_OFFLINE"
    else:
        reason = " ".join(str(error.__cause__ or error).split()) or type(error).__name__
        message = f"{address}: could not be downloaded ({reason}); try again, it goes on from there"
        return TransientError("fetch_failed", message)
    return SetupError("model_missing", f"{address}: {why}")

"""Hub: models of further scripts for the recogniser, fetched once for all runs of a user."""

import hashlib
from pathlib import Path
from typing import Final

from pipeline.recognise import Listed
from schemas.errors import InputError, SetupError, TransientError
from services.ingest.fetch import fetch

_MOST: Final = 256 << 20


def fetch_model(model: Listed, mirror: str = "") -> Path:
    """Download a model, unless it is here whole; returns its file.

    Args:
        model: as `rapidocr` lists it.
        mirror: address of a folder that has the file too, also of one inside the network.

    Raises:
        TransientError: `fetch_failed`.
        SetupError: `model_missing`, where nothing or something else was given.
    """
    path = model.path
    if path.exists() and _sha256(path) == model.sha256:
        return path
    url = f"{mirror.rstrip('/')}/{path.name}" if mirror else model.url
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    try:
        fetch(url, partial, max_bytes=_MOST, allow_private=bool(mirror))
        if _sha256(partial) != model.sha256:
            message = f"{url}: is not the model that is listed; try again, or another --mirror"
            raise SetupError("model_missing", message)
        partial.replace(path)
    except InputError as error:
        raise SetupError("model_missing", error.message) from error
    except OSError as error:
        message = f"{path}: cannot be written ({error.strerror})"
        raise TransientError("fetch_failed", message) from error
    finally:
        partial.unlink(missing_ok=True)
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

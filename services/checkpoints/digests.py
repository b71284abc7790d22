"""Digests: whether files are what a hub lists.

Hubs' clients look at sizes alone. What was found whole is remembered, by digests, sizes and times
of the files: a start reads gigabytes for it once.
"""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from services.checkpoints.cache import folder as cache

_SHA256: Final = 64  # digits; fewer are git's name of a blob, a SHA-1 of a header and the content


def damaged(digests: Mapping[Path, str]) -> list[Path]:
    """Files that have another digest than is listed."""
    mark = cache() / "whole" / _mark(digests)
    if mark.exists():
        return []
    if wrong := [path for path, digest in digests.items() if _digest(path, digest) != digest]:
        return wrong
    with suppress(OSError):  # a home that cannot be written: they are read at the next start too
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    return []


def _mark(digests: Mapping[Path, str]) -> str:
    sha = hashlib.sha256()
    for path, digest in sorted(digests.items()):
        facts = path.stat()
        sha.update(repr((str(path), digest, facts.st_size, facts.st_mtime_ns)).encode())
    return sha.hexdigest()


def _digest(path: Path, listed: str) -> str:
    """The digest of a file, of the kind that is listed."""
    if len(listed) == _SHA256:
        sha = hashlib.sha256()
    else:
        sha = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: sha).hexdigest()

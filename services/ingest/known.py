"""Known: which medium an object of a store was found to be.

A job for an object says its address and etag, and only its content says which medium that is. Once
it has been fetched, the lake keeps what it was: `known/<digest of address and etag>/<media id>`, an
object without content. So the same bucket that is sent again is found done without a byte of it.
"""

import hashlib

from pipeline.land.place import Objects
from pipeline.land.store import KNOWN
from schemas.jobs import MediaReference


def known_as(objects: Objects, media: MediaReference) -> str | None:
    """Id of the medium at an address, if it is known.

    Raises:
        TransientError: `store_failed`.
    """
    folder = _folder(media)
    name = next(iter(objects.names(folder)), None) if folder else None
    return name and name.removeprefix(folder)


def remember(objects: Objects, media: MediaReference, media_id: str) -> None:
    """Keep which medium was found at an address; nothing, where no etag says when it is another.

    Raises:
        TransientError: `store_failed`.
    """
    if folder := _folder(media):
        objects.put(folder + media_id, b"")


def _folder(media: MediaReference) -> str:
    """Where it is kept; empty for what may become another medium under the same name."""
    if media.etag is None or media.subtitles:
        return ""
    parts = media.address, media.etag, media.offset, media.length
    return f"{KNOWN}{hashlib.sha256(repr(parts).encode()).hexdigest()}/"

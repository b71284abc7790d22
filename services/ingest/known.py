"""Known: which medium was found at an address.

A job for an object of a store says its address and etag, and only its content says which medium
that is. Once it has been fetched, the lake keeps what it was: `known/<digest of address and
etag>/<media id>`, an object without content. So the same bucket that is sent again is found done
without a byte of it, and what became of a job can be proved.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator

from pipeline.land.place import Objects
from pipeline.land.store import KNOWN, is_half_written
from schemas.jobs import MediaReference


def known_as(objects: Objects, media: MediaReference) -> str | None:
    """Id of the medium at an address, if it is known.

    Raises:
        TransientError: `store_failed`.
    """
    if media.etag is None or media.subtitles:  # it may have become another one
        return None
    return next((media_id for _, media_id in _listed(objects, place_of(media))), None)


def found(objects: Objects) -> defaultdict[str, set[str]]:
    """Ids of the media that were found, by place.

    Raises:
        TransientError: `store_failed`.
    """
    media: defaultdict[str, set[str]] = defaultdict(set)
    for place, media_id in _listed(objects):
        media[place].add(media_id)
    return media


def remember(objects: Objects, media: MediaReference, media_id: str) -> None:
    """Keep which medium was found at an address.

    Raises:
        TransientError: `store_failed`.
    """
    objects.put(f"{KNOWN}{place_of(media)}/{media_id}", b"")


def place_of(media: MediaReference) -> str:
    """Digest of the address, and of which version and part of what is there."""
    parts = media.address, media.etag, media.offset, media.length, media.subtitles
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _listed(objects: Objects, place: str = "") -> Iterator[tuple[str, str]]:
    """Places and what was found there; at one place, or at all."""
    for name in objects.names(f"{KNOWN}{place}/" if place else KNOWN):
        if not is_half_written(name):
            _, where, media_id = name.split("/")
            yield where, media_id

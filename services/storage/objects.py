"""Objects of users: media in S3 that jobs refer to, found below a prefix and downloaded."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from schemas.errors import InputError
from schemas.jobs import MediaReference
from services.settings import Settings
from services.storage.bucket import Bucket
from services.storage.places import open_place


def listing(settings: Settings, uri: str) -> Iterator[tuple[str, str]]:
    """Addresses and etags of the objects at or below an s3:// address, in order.

    Raises:
        SetupError: `store_refused`, `store_missing`.
        TransientError: `store_failed`.
    """
    bucket, prefix = _split(uri)
    for name, etag in _open(bucket, settings).etags(prefix):
        yield f"s3://{bucket}/{name}", etag


def download(settings: Settings, reference: MediaReference, target: Path) -> None:
    """Copy an object, or the byte range of it that a reference names, to a file.

    Raises:
        InputError: `not_found`, or `media_changed` if it is not the version that was referred to.
        SetupError: `store_refused`, `store_missing`.
        TransientError: `store_failed`.
    """
    bucket, name = _split(reference.uri)
    found = _open(bucket, settings).download(
        name, target, offset=reference.offset, length=reference.length, etag=reference.etag or ""
    )
    if found == "absent":
        message = f"{reference.uri}: there is no such object; check bucket and name"
        raise InputError("not_found", message)
    if found == "changed":
        message = f"{reference.uri}: has changed since it was submitted; submit it again"
        raise InputError("media_changed", message)


def _split(uri: str) -> tuple[str, str]:
    parts = urlsplit(uri)
    return parts.netloc, parts.path.lstrip("/")


def _open(bucket: str, settings: Settings) -> Bucket:
    objects = open_place(f"s3://{bucket}", settings).objects
    assert isinstance(objects, Bucket)
    return objects

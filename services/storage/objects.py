"""Objects of users: media in S3 that jobs refer to, found below a prefix and downloaded.

An address comes from a job, so from anybody: it is compared with what the settings allow, and what
the store says of it is about that one medium.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from io import BufferedReader
from pathlib import Path
from typing import Final

from minio.helpers import check_bucket_name, check_object_name

from pipeline.consume import quoted
from schemas.errors import InputError, ReelpageError, SetupError
from schemas.jobs import MediaReference
from services.settings import Settings
from services.storage.bucket import Bucket, refusal
from services.storage.places import open_place
from services.storage.ranged import ranged
from services.storage.sparse import SparseFile, room

_CREDENTIALS: Final = frozenset(
    (
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "InvalidToken",
        "InvalidSecurity",
        "NotSignedUp",
        "AccountProblem",
        "RequestTimeTooSkewed",
    )
)
"""What a store says of the caller rather than of an object: no medium is to blame."""
_ABSENT: Final = ("not_found", "there is no such bucket or object; check its address")
_FORBIDDEN: Final = ("not_readable", "may not be read; give the store's user the right to")
_MEANING: Final = {
    "NoSuchBucket": _ABSENT,
    "AccessDenied": _FORBIDDEN,
    "AllAccessDisabled": _FORBIDDEN,
    "InvalidObjectState": ("not_readable", "is archived; restore it and submit it again"),
    "PermanentRedirect": ("not_readable", "is in another region than REELPAGE_S3_REGION; copy it"),
    HTTPStatus.UNAUTHORIZED: _FORBIDDEN,
    HTTPStatus.FORBIDDEN: _FORBIDDEN,
    HTTPStatus.NOT_FOUND: _ABSENT,
}


def check_allowed(settings: Settings, uri: str) -> None:
    """Check that jobs may name objects at or below an s3:// address.

    Raises:
        InputError: `url_refused`.
    """
    bucket, name = _split(uri)
    address = f"{bucket}/{name}".rstrip("/") + "/"
    if not any(address.startswith(f"{one.removeprefix('s3://')}/") for one in settings.sources):
        message = (
            f"{quoted(uri)}: is not below a bucket that may be read; "
            f"name it to the workers, and here, as in REELPAGE_SOURCES=s3://{bucket}"
        )
        raise InputError("url_refused", message)


def listing(settings: Settings, uri: str) -> Iterator[tuple[str, str, int]]:
    """Addresses, etags and sizes of the objects at or below an s3:// address, in order.

    Raises:
        InputError: `url_refused`.
        SetupError: `store_refused`, `store_missing`.
        TransientError: `store_failed`.
    """
    check_allowed(settings, uri)
    bucket, prefix = _split(uri)
    for name, etag, size in _open(bucket, settings).listed(prefix):
        yield f"s3://{bucket}/{name}", etag, size


def opened(settings: Settings, uri: str, etag: str, size: int) -> BufferedReader:
    """An object of a size, in one version, as a file of which only what is looked at is read.

    Reading raises:
        InputError: `not_found`, `not_readable` or `media_changed`.
        TransientError: `store_failed`.
    """
    bucket, name = _split(uri)
    store = _open(bucket, settings)

    def part(offset: int, length: int) -> bytes:
        with _said_of(uri):
            return store.part(name, offset, length, etag)

    return ranged(part, size)


def download(settings: Settings, reference: MediaReference, target: Path) -> None:
    """Copy an object, or the byte range of it that a reference names, to a file.

    Raises:
        InputError: `url_refused`; `not_found`; `not_readable`, whatever the store has against it;
            `too_large`; or `media_changed` if it is not the version that was referred to.
        SetupError: `store_refused`, if the store does not know this caller.
        TransientError: `store_failed`, or `disk_full` if there is no room for it at the moment.
    """
    check_allowed(settings, reference.uri)
    bucket, name = _split(reference.uri)
    if not name:
        raise _refused(reference.uri, "absent", 0)
    with room(target), _said_of(reference.uri):
        found = _open(bucket, settings).download(
            name,
            target,
            most=settings.max_bytes,
            offset=reference.offset,
            length=reference.length,
            etag=reference.etag or "",
        )
    if found != "done":
        raise _refused(reference.uri, found, settings.max_bytes)


def sparse(settings: Settings, reference: MediaReference, target: Path) -> SparseFile:
    """An object, or a range of its bytes, as a file of which only what is read is fetched.

    Reading raises what `download` does.

    Raises:
        InputError, SetupError, TransientError: as `download`.
    """
    uri, etag = reference.uri, reference.etag or ""
    check_allowed(settings, uri)
    bucket, name = _split(uri)
    store = _open(bucket, settings)

    def read(offset: int, length: int) -> bytes:
        with _said_of(uri):
            return store.part(name, reference.offset + offset, length, etag)

    size = reference.length
    if size is None:
        with _said_of(uri):
            size = store.size(name, etag) - reference.offset
    if size > settings.max_bytes:
        raise _refused(uri, "too_large", settings.max_bytes)
    file = SparseFile(target, size, read)
    if size:
        file.fill(0, 1)  # what kind of file it is, is seen there
    return file


@contextmanager
def _said_of(uri: str) -> Iterator[None]:
    """What a store refuses, as what it says of the one medium that was asked for."""
    try:
        yield
    except SetupError as error:
        if refusal(error)[1] == HTTPStatus.PRECONDITION_FAILED:
            raise _refused(uri, "changed", 0) from error
        raise _meaning(uri, error) from error


def _refused(uri: str, found: str, most: int) -> InputError:
    code, why = {
        "absent": _ABSENT,
        "changed": ("media_changed", "has changed since it was submitted; submit it again"),
        "too_large": ("too_large", f"is larger than {most} bytes; raise REELPAGE_MAX_BYTES"),
    }[found]
    return InputError(code, f"{quoted(uri)}: {why}")


def _meaning(uri: str, error: SetupError) -> ReelpageError:
    """What a refusal of the store means for the one medium that was asked for."""
    code, status = refusal(error)
    if not status or code in _CREDENTIALS:
        return error
    other = ("not_readable", f"the store refuses it ({code or status})")
    found, why = _MEANING.get(code) or _MEANING.get(status) or other
    return InputError(found, f"{quoted(uri)}: {why}")


def _split(uri: str) -> tuple[str, str]:
    """Bucket and name, as they stand: an object's name may hold any character, "?" and "#" too.

    Raises:
        InputError: `url_refused`, for what no store can be asked for.
    """
    bucket, _, name = uri.partition("://")[2].partition("/")
    try:
        check_bucket_name(bucket.encode("ascii").decode(), strict=True, s3_check=True)
        check_object_name(name.encode().decode() or "any")
    except ValueError as error:
        message = f"{quoted(uri)}: is no address of an object; give s3://bucket/name"
        raise InputError("url_refused", message) from error
    return bucket.rstrip("\n"), name


def _open(bucket: str, settings: Settings) -> Bucket:
    objects = open_place(f"s3://{bucket}", settings).objects
    assert isinstance(objects, Bucket)
    return objects

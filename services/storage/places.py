"""Places: where a lake is, from what the user calls it."""

import re
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING, Final

from pipeline.land.place import Place
from pipeline.land.store import local_place
from schemas.errors import SetupError, TransientError
from services.settings import Settings

if TYPE_CHECKING:
    # Loading minio takes longer than to read a small lake.
    from services.storage.bucket import Bucket
    from services.storage.identity import Identity

_S3: Final = "s3://"
# What needs no escapes in a URL: deltalake and Polars escape the rest in ways of their own.
_ADDRESS: Final = re.compile(r"s3://[a-z0-9][a-z0-9.-]{2,62}(/[A-Za-z0-9_=-][A-Za-z0-9._=-]*)*/?")
_RIVALS: Final = 4
_ATTEMPTS: Final = 3


def open_place(location: str, settings: Settings) -> Place:
    """A folder, or `s3://bucket/prefix` with the store that the settings name.

    Raises:
        SetupError: `usage`, for another kind of address or a setting that is missing.
    """
    if not location.startswith(_S3):
        return local_place(local_folder(location))
    _check(location, settings)
    bucket, _, prefix = location.removeprefix(_S3).rstrip("/").partition("/")
    from services.storage.bucket import Bucket
    from services.storage.identity import identity

    who = identity(settings)
    virtual = settings.s3_style == "virtual"
    objects = Bucket(
        settings.s3_endpoint,
        bucket,
        prefix,
        identity=who,
        region=settings.s3_region,
        virtual_style=virtual,
        ca_file=settings.s3_ca,
    )
    options = partial(_options, bucket, settings, who)
    return Place(f"{_S3}{bucket}/{prefix}".rstrip("/"), objects, options)


def local_folder(location: str) -> Path:
    """A lake's folder, for commands that cannot write to a bucket.

    Raises:
        SetupError: `usage`, for an address that is none.
    """
    if location.startswith(_S3):
        message = f"{location}: one process indexes into a folder; `reelpage submit` fills buckets"
        raise SetupError("usage", message)
    if "://" in location:
        message = f"{location}: give a folder or s3://bucket/prefix"
        raise SetupError("usage", message)
    return Path(location)


def probe(place: Place) -> None:
    """Check that a store keeps several writers apart.

    A table's log is safe if of several who put one new object exactly one succeeds, and markers are
    if the same holds for those who replace one version of an object. Some stores take these
    conditions and ignore them. Folders pass: there, the kernel keeps the promise.

    Raises:
        SetupError: `store_unsafe`, or that the store refuses.
        TransientError: `store_failed`.
    """
    from services.storage.bucket import Bucket

    store = place.objects
    if not isinstance(store, Bucket):
        return
    store.get("probe/none")  # a bucket that is missing or refuses says so in its own words
    if (found := _again(lambda: _one_by_one(store))) != [True, False]:
        _refuse(place, f"two puts of one new object were answered {_words(found)}")
    if (found := _again(lambda: _over_versions(store))) != [False, True]:
        _refuse(place, f"puts over a former and the present version were answered {_words(found)}")
    for what, old in (("of one new object", None), ("over one object", b"old")):
        if sum(found := _again(partial(_at_once, store, old))) != 1:
            _refuse(place, f"{_RIVALS} puts {what} at once were answered {_words(found)}")


def _again(puts: Callable[[], list[bool]]) -> list[bool]:
    """Start over where a reply was lost: what it said of the others is not known."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return puts()
        except TransientError:
            continue
    return puts()


def _one_by_one(store: "Bucket") -> list[bool]:
    name = f"probe/{secrets.token_hex(8)}"
    try:
        return [store.create(name, b"first"), store.create(name, b"second")]
    finally:
        store.delete(name)


def _over_versions(store: "Bucket") -> list[bool]:
    name = f"probe/{secrets.token_hex(8)}"
    try:
        versions = [_put(store, name, data) for data in (b"first", b"second")]
        return [store.replace(name, b"third", version) for version in versions]
    finally:
        store.delete(name)


def _put(store: "Bucket", name: str, data: bytes) -> str:
    store.put(name, data)
    return store.get_version(name)[1]


def _at_once(store: "Bucket", old: bytes | None) -> list[bool]:
    name, start = f"probe/{secrets.token_hex(8)}", Barrier(_RIVALS)

    def rival(number: int) -> bool:
        start.wait()
        return store.replace(name, b"%d" % number, version)

    try:
        version = "" if old is None else _put(store, name, old)
        with ThreadPoolExecutor(_RIVALS) as pool:
            return list(pool.map(rival, range(_RIVALS)))
    finally:
        store.delete(name)


def _words(found: list[bool]) -> str:
    return " and ".join("stored" if one else "refused" for one in found)


def _refuse(place: Place, what: str) -> None:
    message = (
        f"{place.uri}: the store ignores conditional puts ({what}), so that workers lose each "
        "other's rows; use a store that honours If-None-Match and If-Match, or upgrade this one"
    )
    raise SetupError("store_unsafe", message)


def _check(location: str, settings: Settings) -> None:
    if not _ADDRESS.fullmatch(location):
        message = f"{location}: give s3://bucket/prefix, of ASCII letters, digits and ._=-/"
        raise SetupError("usage", message)
    if not settings.s3_endpoint:
        message = f"{location}: set REELPAGE_S3_ENDPOINT; see docs/settings.md"
        raise SetupError("usage", message)
    if settings.s3_ca and not Path(settings.s3_ca).is_file():
        message = f"REELPAGE_S3_CA={settings.s3_ca}: there is no such file"
        raise SetupError("usage", message)


def _options(bucket: str, settings: Settings, who: "Identity") -> dict[str, str]:
    """What deltalake needs to reach the same store; its own retries end before a minute."""
    keys = who.retrieve()
    scheme, _, address = settings.s3_endpoint.partition("://")
    virtual = settings.s3_style == "virtual"
    options = {
        "aws_endpoint": f"{scheme}://{bucket}.{address}" if virtual else settings.s3_endpoint,
        "aws_access_key_id": keys.access_key,
        "aws_secret_access_key": keys.secret_key,
        "aws_region": settings.s3_region,
        "aws_virtual_hosted_style_request": str(virtual).lower(),
        "aws_conditional_put": "etag",
        "allow_http": str(scheme == "http").lower(),
        "max_retries": "4",
        "retry_timeout": "40s",
    }
    if keys.session_token:
        options["aws_session_token"] = keys.session_token
    return options

"""Bucket: named objects in an S3 service, with time limits and retries of its own."""

import io
import random
import re
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal, NoReturn, TypeVar
from xml.etree.ElementTree import ParseError

import urllib3
from minio import Minio
from minio.credentials.providers import Provider
from minio.datatypes import Object
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from schemas.errors import SetupError, TransientError

_ATTEMPTS: Final = 5
_WAIT_S: Final = 0.2  # before the second attempt; twice that before each next one
_CONNECT_S: Final = 5.0
_CONNECTIONS: Final = 16
_PAGE: Final = 1000
_BLOCK: Final = 1 << 20
_SIGNED_FOR: Final = timedelta(minutes=5)
_TRANSIENT: Final = frozenset({408, 409, 425, 429, *range(500, 600)} - {501})
_BUSY: Final = frozenset({"RequestTimeout", "SlowDown", "Throttling", "ThrottlingException"})
_IS_THERE: Final = (HTTPStatus.PRECONDITION_FAILED, HTTPStatus.CONFLICT)
_UNTRUSTED: Final = "CERTIFICATE_VERIFY_FAILED"
_KEYS: Final = "check the keys (REELPAGE_S3_ACCESS_KEY and its kin), _REGION and their rights"

T = TypeVar("T")


class Bucket:
    """Objects below a prefix of a bucket.

    Every method raises TransientError `store_failed` if the store does not answer after some
    attempts, and SetupError `store_refused` or `store_missing` if it refuses, each naming the
    bucket, the service and the remedy. All may be called from several threads.
    """

    def __init__(
        self,
        endpoint: str,
        bucket: str,
        prefix: str = "",
        *,
        identity: Provider,
        region: str = "us-east-1",
        virtual_style: bool = False,
        ca_file: str = "",
        timeout_s: float = 20.0,
    ) -> None:
        """Connect to nothing yet.

        Args:
            endpoint: URL of the service, without a path.
            bucket: its name.
            prefix: what the names of all objects begin with, without a slash at its ends.
            identity: gives the keys, again for each request.
            region: what requests are signed for.
            virtual_style: whether the bucket's name is part of the host's, else of the path.
            ca_file: certificates that sign the service's own, PEM; else the public ones.
            timeout_s: for an answer; each method makes five attempts.
        """
        self._where = f"bucket {bucket} at {endpoint}"
        self._bucket, self._prefix = bucket, f"{prefix}/" if prefix else ""
        self._pool = urllib3.PoolManager(
            maxsize=_CONNECTIONS,
            timeout=urllib3.Timeout(connect=min(_CONNECT_S, timeout_s), read=timeout_s),
            retries=False,
            ca_certs=ca_file or None,
        )
        scheme, _, address = endpoint.partition("://")
        self._client = Minio(
            address,
            credentials=identity,
            secure=scheme == "https",
            region=region,
            http_client=self._pool,
        )
        if virtual_style:
            self._client.enable_virtual_style_endpoint()  # type: ignore[no-untyped-call]
        else:
            self._client.disable_virtual_style_endpoint()  # type: ignore[no-untyped-call]

    def put(self, name: str, data: bytes) -> None:
        """Store an object, over the one that is there."""
        key = self._prefix + name
        self._try(lambda: self._client.put_object(self._bucket, key, io.BytesIO(data), len(data)))

    def get(self, name: str) -> bytes | None:
        """The bytes of an object, or None."""
        return self.get_version(name)[0]

    def delete(self, name: str) -> None:
        """Remove an object; no error if there is none."""
        self._try(lambda: self._client.remove_object(self._bucket, self._prefix + name))

    def names(self, prefix: str) -> Iterator[str]:
        """Names that begin with a prefix, in order."""
        for entry in self._entries(prefix):
            yield str(entry.object_name).removeprefix(self._prefix)

    def create(self, name: str, data: bytes) -> bool:
        """Store an object only if there is none of its name; one attempt.

        minio has no such call. It signs the address, and the condition goes beside it.

        Returns:
            False if the store says that there is one.

        Raises:
            SetupError: `store_unsafe` as well, where the store does not know the condition.
        """
        return self._put_if(name, data, {"If-None-Match": "*"})

    def get_version(self, name: str) -> tuple[bytes | None, str]:
        """The bytes of an object and its etag; None and "" if there is none."""

        def attempt() -> tuple[bytes | None, str]:
            try:
                with self._client.get_object(self._bucket, self._prefix + name) as reply:
                    return reply.read(), reply.headers.get("etag", "")
            except S3Error as error:
                if error.code == "NoSuchKey":
                    return None, ""
                raise

        return self._try(attempt)

    def replace(self, name: str, data: bytes, version: str) -> bool:
        """Store an object if what is there has an etag, or if nothing is there; one attempt."""
        condition = {"If-Match": version} if version else {"If-None-Match": "*"}
        return self._put_if(name, data, condition)

    def listed(self, prefix: str) -> Iterator[tuple[str, str, int]]:
        """Names, versions and sizes of the objects whose names begin with a prefix, in order."""
        for entry in self._entries(prefix):
            name = str(entry.object_name).removeprefix(self._prefix)
            yield name, str(entry.etag or ""), entry.size or 0

    def size(self, name: str, etag: str) -> int:
        """Bytes of one version of an object; what refuses it is a SetupError.

        It is asked for a byte: a refusal of its head would not say why.
        """
        return self._get(
            name,
            lambda reply: int(reply.headers.get("Content-Range", "").rpartition("/")[2]),
            etag,
            length=1,
        )

    def part(self, name: str, offset: int, length: int, etag: str) -> bytes:
        """A range of an object's bytes, of one version of it; what refuses it is a SetupError."""
        return self._get(name, lambda reply: reply.read(), etag, offset, length)

    def download(
        self,
        name: str,
        target: Path,
        *,
        most: int,
        offset: int = 0,
        length: int | None = None,
        etag: str = "",
    ) -> Literal["done", "absent", "changed", "too_large"]:
        """Copy an object, or a range of its bytes, to a file.

        Args:
            name: of the object.
            target: file to write.
            most: bytes that are taken; of what is larger, perhaps a part is written.
            offset: first byte.
            length: bytes; None for all that follow.
            etag: version that it must have; empty for any.
        """

        def copy(reply: BaseHTTPResponse) -> Literal["done", "too_large"]:
            said = int(reply.headers.get("Content-Length") or 0)
            whole = said <= most and _copy(reply.stream(_BLOCK), target, most)
            return "done" if whole else "too_large"

        if length == 0:
            target.write_bytes(b"")
            return "done"
        try:
            return self._get(name, copy, etag, offset, length or 0)
        except SetupError as error:
            code, status = refusal(error)
            if code == "NoSuchKey":
                return "absent"
            if status == HTTPStatus.PRECONDITION_FAILED:
                return "changed"
            raise

    def _get(
        self,
        name: str,
        read: Callable[[BaseHTTPResponse], T],
        etag: str,
        offset: int = 0,
        length: int = 0,
    ) -> T:
        """What is read of an object, or of a range; of one version, if there is an etag."""
        headers: Any = {"If-Match": etag} if etag else {}

        def attempt() -> T:
            with self._client.get_object(
                self._bucket,
                self._prefix + name,
                offset=offset,
                length=length,
                request_headers=headers,
            ) as reply:
                return read(reply)

        return self._try(attempt)

    def _put_if(self, name: str, data: bytes, condition: dict[str, str]) -> bool:
        key = self._prefix + name
        url = self._client.get_presigned_url("PUT", self._bucket, key, _SIGNED_FOR)

        def attempt() -> int:
            return self._pool.request("PUT", url, body=data, headers=condition).status

        status = self._try(attempt, attempts=1)
        gone = status == HTTPStatus.NOT_FOUND and "If-Match" in condition
        if status not in (HTTPStatus.OK, *_IS_THERE) and not gone:
            self._fail_put_if(status)
        return status == HTTPStatus.OK

    def _entries(self, prefix: str) -> Iterator[Object]:
        last = ""
        while page := self._try(partial(self._list, self._prefix + prefix, last)):
            yield from page
            if len(page) < _PAGE:
                return
            last = str(page[-1].object_name)

    def _list(self, prefix: str, last: str) -> list[Object]:
        """One page: what minio gets with one request."""
        found = self._client.list_objects(
            self._bucket, prefix, recursive=True, start_after=last or None
        )
        return list(islice(found, _PAGE))

    def _try(self, action: Callable[[], T], attempts: int = _ATTEMPTS) -> T:
        """Repeat what may succeed later; every request of ours can be made twice."""
        last: Exception | None = None
        for attempt in range(attempts):
            if attempt:
                time.sleep(random.uniform(0.5, 1) * _WAIT_S * 2 ** (attempt - 1))
            try:
                return action()
            except MinioException as error:
                if _status(error) not in _TRANSIENT and _code(error) not in _BUSY:
                    self._refuse(error)
                last = error
            except (ParseError, ValueError) as error:  # minio reads a reply that is none
                last = error
            except HTTPError as error:
                if _UNTRUSTED in str(error):
                    message = f"{self._where}: {error}; name its authority in REELPAGE_S3_CA"
                    raise SetupError("store_refused", message) from error
                last = error
        message = f"{self._where}: does not answer ({_reason(last)}); is it running and reachable?"
        raise TransientError("store_failed", message) from last

    def _fail_put_if(self, status: int) -> NoReturn:
        message = f"{self._where}: answers a conditional put with HTTP status {status}"
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise SetupError("store_refused", f"{message}; {_KEYS}")
        if status in _TRANSIENT:
            raise TransientError("store_failed", f"{message}; try again")
        message += "; use a store that honours If-None-Match and If-Match"
        raise SetupError("store_unsafe", message)

    def _refuse(self, error: MinioException) -> NoReturn:
        if isinstance(error, S3Error) and error.code == "NoSuchBucket":
            message = f"{self._where}: does not exist; make it, or correct its name"
            raise SetupError("store_missing", message) from error
        message = f"{self._where}: refuses ({_reason(error)}); {_KEYS}"
        raise SetupError("store_refused", message) from error


def refusal(error: SetupError) -> tuple[str, int]:
    """Code and HTTP status of the reply that a store refused with; "" and 0 where there is none."""
    cause = error.__cause__
    return (_code(cause), _status(cause)) if isinstance(cause, MinioException) else ("", 0)


def _copy(blocks: Iterable[bytes], target: Path, most: int) -> bool:
    """Write what comes to a file; False where it is more than is taken."""
    with target.open("wb") as file:
        for block in blocks:
            if file.tell() + len(block) > most:
                return False
            file.write(block)
    return True


def _code(error: MinioException) -> str:
    """S3's word for an error, or none."""
    return str(error.code or "") if isinstance(error, S3Error) else ""


def _status(error: MinioException) -> int:
    """HTTP status of an error reply."""
    if isinstance(error, S3Error):
        return int(error.response.status)
    if isinstance(error, ServerError):
        return error.status_code
    found = re.search(r"Response code: (\d+)", str(error))  # it has no attribute for it
    return int(found[1]) if isinstance(error, InvalidResponseError) and found else 0


def _reason(error: Exception | None) -> str:
    """The cause in a few words, on one line."""
    if isinstance(error, S3Error):
        return f"{error.code}: {error.message}"
    return " ".join(str(error).split())

"""Identity: who a process is to the store, whose keys may change while it runs.

Keys stand in the settings, or in a file in AWS's form that somebody replaces; or a security token
service gives them, for an hour or so, to who shows a token that the cluster replaces
(AssumeRoleWithWebIdentity of the AWS STS API).
"""

import re
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import ParseError

import urllib3
from minio.credentials.credentials import Credentials
from minio.credentials.providers import (
    AWSConfigProvider,
    Provider,
    StaticProvider,
    WebIdentityProvider,
)
from minio.error import MinioException
from urllib3.exceptions import HTTPError

from schemas.errors import SetupError, TransientError
from services.settings import Settings

_TIMEOUT_S: Final = 10.0
_SESSION: Final = "reelpage"
_SHOWN: Final = re.compile(r"(WebIdentityToken=)[^&\s]+")


class Identity(Provider):
    """Keys as they are now, for any number of threads."""

    def __init__(self, source: Provider, where: str) -> None:
        """Nothing is asked yet.

        Args:
            source: of keys.
            where: they come from, for messages.
        """
        self._source, self._where, self._lock = source, where, threading.Lock()

    def retrieve(self) -> Credentials:
        """The keys.

        Raises:
            TransientError: `store_failed`.
        """
        with self._lock:  # who waits gets what the first has fetched
            try:
                return self._source.retrieve()
            except (ValueError, OSError, ParseError, HTTPError, MinioException) as error:
                why = _SHOWN.sub(r"\1...", " ".join(str(error).split()))
                message = f"{self._where} gives no keys for the store ({why})"
                raise TransientError("store_failed", message) from None


def identity(settings: Settings) -> Identity:
    """Who the settings say that this process is.

    Raises:
        SetupError: `usage`, if they say nothing, or several things.
    """
    given = [make for name, make in _WAYS.items() if getattr(settings, name)]
    if len(given) != 1:
        names = " or ".join(f"REELPAGE_{name.upper()}" for name in _WAYS)
        message = f"set one of {names}; see docs/settings.md"
        raise SetupError("usage", message)
    return given[0](settings)


def _of_keys(settings: Settings) -> Identity:
    if not settings.s3_secret_key:
        message = "set REELPAGE_S3_SECRET_KEY as well; see docs/settings.md"
        raise SetupError("usage", message)
    token = settings.s3_session_token or None
    keys = StaticProvider(settings.s3_access_key, settings.s3_secret_key, token)
    return Identity(keys, "the environment")


def _of_file(settings: Settings) -> Identity:
    path = settings.s3_credentials
    return Identity(AWSConfigProvider(path, "default"), f"REELPAGE_S3_CREDENTIALS={path}")


def _of_token(settings: Settings) -> Identity:
    if not (settings.s3_sts and settings.s3_role):
        message = "REELPAGE_S3_TOKEN_FILE: set REELPAGE_S3_STS and REELPAGE_S3_ROLE as well"
        raise SetupError("usage", message)
    pool = urllib3.PoolManager(
        timeout=_TIMEOUT_S, retries=urllib3.Retry(2), ca_certs=settings.s3_ca or None
    )
    source = WebIdentityProvider(
        jwt_provider_func=partial(_token, Path(settings.s3_token_file)),
        sts_endpoint=settings.s3_sts,
        role_arn=settings.s3_role,
        role_session_name=_SESSION,
        http_client=pool,
    )
    return Identity(source, settings.s3_sts)


def _token(path: Path) -> dict[str, str]:
    return {"access_token": path.read_text().strip()}


_WAYS: Final[dict[str, Callable[[Settings], Identity]]] = {
    "s3_access_key": _of_keys,
    "s3_credentials": _of_file,
    "s3_token_file": _of_token,
}

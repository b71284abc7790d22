"""Replies: JSON with a version, and what the status of a reply means to its caller.

    400 404 413  InputError      this will not be answered, now or later
    401 422      SetupError      something is set up wrongly, here or there
    409 503      TransientError  a later attempt may succeed
    500          TransientError  a fault of ours that may pass

Whatever is no reply of ours, a proxy's or a half of one, is transient: the service may be starting.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from schemas.errors import CODES, InputError, ReelpageError, SetupError, TransientError

VERSION: Final = 2
"""2: rows come with what is asked of a lander; one of version 1 would commit without them."""
_BY_CODE: Final = {
    "unauthorized": HTTPStatus.UNAUTHORIZED,
    "not_found": HTTPStatus.NOT_FOUND,
    "model_changed": HTTPStatus.CONFLICT,
    "too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
}
_BY_KIND: Final = {
    InputError: HTTPStatus.BAD_REQUEST,
    SetupError: HTTPStatus.UNPROCESSABLE_ENTITY,
    TransientError: HTTPStatus.SERVICE_UNAVAILABLE,
}
_KINDS: Final[Mapping[int, type[ReelpageError]]] = {
    HTTPStatus.BAD_REQUEST: InputError,
    HTTPStatus.NOT_FOUND: InputError,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: InputError,
    HTTPStatus.UNAUTHORIZED: SetupError,
    HTTPStatus.UNPROCESSABLE_ENTITY: SetupError,
    HTTPStatus.CONFLICT: TransientError,
    HTTPStatus.SERVICE_UNAVAILABLE: TransientError,
}


def to_json(value: Mapping[str, Any]) -> bytes:
    """A request or a reply; equal bytes for equal values."""
    return json.dumps({"version": VERSION, **value}, ensure_ascii=False).encode()


def from_json(body: bytes) -> dict[str, Any]:
    """What `to_json` was given.

    Raises:
        ValueError: the bytes are no JSON object.
        SetupError: `version_mismatch`.
    """
    try:
        value = json.loads(body)
    except RecursionError as error:
        message = "it is nested too deeply"
        raise ValueError(message) from error
    if not isinstance(value, dict):
        message = "it is no JSON object"
        raise ValueError(message)
    version = value.pop("version", None)
    if version != VERSION:
        message = (
            f"the other side speaks version {version!r:.40} and this one {VERSION}; "
            "run one version of reelpage everywhere"
        )
        raise SetupError("version_mismatch", message)
    return value


def status_of(error: ReelpageError) -> int:
    """The status of the reply that an error becomes."""
    known = _BY_CODE.get(error.code)
    return known or next(status for kind, status in _BY_KIND.items() if isinstance(error, kind))


def error_of(status: int, body: bytes, url: str, lost: str) -> ReelpageError:
    """The error that a reply other than 200 stands for.

    Args:
        status: of the reply.
        body: of the reply.
        url: of the service.
        lost: code of the TransientError for what is no reply of ours.
    """
    try:
        value = json.loads(body)
        code, message = str(value["code"]), str(value["message"])
    except (ValueError, TypeError, KeyError, RecursionError):
        code, message = "", " ".join(body[:200].decode(errors="replace").split())
    if code in CODES and status in _KINDS:
        return _KINDS[status](code, message)
    return TransientError(lost, f"{url}: status {status}: {message}")


def credentials(secret: str) -> dict[str, str]:
    """The headers by which a caller is known."""
    return {"Authorization": f"Bearer {secret}"} if secret else {}

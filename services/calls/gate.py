"""Gate: which requests a service of ours takes, before it reads them.

A caller shows the secret, says what is there, and sends no more than `_BODY` bytes in `_BODY_S`
seconds; only so many bodies are read at a time. `/healthz` says that the process lives and
`/readyz` that it can answer; they alone are open to everybody.
"""

import asyncio
import hmac
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from schemas.errors import InputError, ReelpageError, SetupError, TransientError
from services.calls.replies import credentials, status_of

RETRY_AFTER_S: Final = 1
READING: Final = 64
"""Bodies that are read at a time."""
_BODY: Final = 1 << 20
_BODY_S: Final = 30.0
_FRESH_S: Final = 2.0  # for which an answer of `/readyz` stands: everybody may ask
_READY_S: Final = 10.0
_JSON: Final = "application/json"

Handler = Callable[[bytes], Awaitable[bytes]]
"""Takes the body of a request and gives that of the reply."""


def check_secret(secret: str) -> None:
    """Check that there is a secret to ask for.

    Raises:
        SetupError: `usage`.
    """
    if not secret:
        message = (
            "no secret is set: give this service and all who call it the same "
            "REELPAGE_SECRET, such as `openssl rand -hex 32` prints"
        )
        raise SetupError("usage", message)


class Gate:
    """Passes requests to their handlers, and says what went wrong."""

    def __init__(
        self,
        secret: str,
        routes: Mapping[tuple[str, str], Handler],
        ready: Callable[[], Awaitable[object]],
    ) -> None:
        """Open.

        Args:
            secret: what callers have to show.
            routes: handlers by method and path.
            ready: raises a ReelpageError while requests cannot be answered.

        Raises:
            SetupError: `usage`, without a secret.
        """
        check_secret(secret)
        self._shown = credentials(secret)["Authorization"].encode()
        self._routes = routes
        self._readiness = _Readiness(ready)
        self._bodies = 0

    async def __call__(self, request: Request) -> Response:
        """Serve one request."""
        place = request.method, request.url.path
        try:
            if place == ("GET", "/healthz"):
                return Response(b"{}", media_type=_JSON)
            if place == ("GET", "/readyz"):
                await self._readiness.check()
                return Response(b"{}", media_type=_JSON)
            return Response(await self._answer(place, request), media_type=_JSON)
        except ReelpageError as error:
            return _refusal(error)

    async def _answer(self, place: tuple[str, str], request: Request) -> bytes:
        given = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, self._shown):
            message = "this service asks for its secret: set REELPAGE_SECRET as it has it"
            raise SetupError("unauthorized", message)
        if place not in self._routes:
            message = f"{' '.join(place)}: nothing is here; is the caller of this version?"
            raise InputError("not_found", message)
        if self._bodies >= READING:
            message = f"{READING} requests are being read"
            raise TransientError("graph_busy", message)
        self._bodies += 1
        try:
            body = await _read(request)
        finally:
            self._bodies -= 1
        return await self._routes[place](body)


class _Readiness:
    """What the last check said, and a new one when it has grown old; one at a time."""

    def __init__(self, ready: Callable[[], Awaitable[object]]) -> None:
        self._ready, self._lock = ready, asyncio.Lock()
        self._at = float("-inf")
        self._error: ReelpageError | None = None

    async def check(self) -> None:
        async with self._lock:
            if time.monotonic() - self._at > _FRESH_S:
                self._error = await self._found()
                self._at = time.monotonic()
        if self._error is not None:
            raise self._error

    async def _found(self) -> ReelpageError | None:
        try:
            async with asyncio.timeout(_READY_S):
                await self._ready()
        except TimeoutError:
            return TransientError("graph_busy", f"not ready within {_READY_S:g} s")
        except ReelpageError as error:
            return TransientError("graph_failed", error.message)
        return None


async def _read(request: Request) -> bytes:
    """The body, if it is not too large and comes in time.

    Raises:
        InputError: `too_large` or `bad_request`.
    """
    said = request.headers.get("content-length", "0")
    if not said.isdecimal() or int(said[:20]) > _BODY:
        raise _too_large()
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_S):
            async for block in request.stream():
                if len(body) + len(block) > _BODY:
                    raise _too_large()
                body += block
    except (TimeoutError, ClientDisconnect) as error:
        message = f"the request did not come within {_BODY_S:g} s"
        raise InputError("bad_request", message) from error
    return bytes(body)


def _too_large() -> InputError:
    return InputError("too_large", f"a request has at most {_BODY} bytes; ask less at a time")


def _refusal(error: ReelpageError) -> Response:
    body = json.dumps({"code": error.code, "message": error.message})
    status = status_of(error)
    later = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else {}
    return Response(body, status, later, _JSON)

"""Lander: the tables' committer in a process of its own, and its client; JSON over HTTP.

Many workers send their intents to one lander, so that they share commits. It keeps nothing: two of
them may run, one may die at any time, and a reply that is lost is asked for again.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, Final

import urllib3
from urllib3.exceptions import HTTPError

from pipeline.land.commit import Tables
from pipeline.land.parquet import DataFile
from schemas.errors import InputError, ReelpageError, SetupError, TransientError
from schemas.tables import TABLES

LOOK: Final = "/v1/look"
COMMIT: Final = "/v1/commit"

_THREADS: Final = 64  # intents that wait at a time
_BODY: Final = 1 << 20  # bytes
_FILE: Final = re.compile(r"part-[0-9a-f]{32}\.parquet")
_STATUS: Final = {InputError: 400, TransientError: 503, SetupError: 500}

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class LanderClient:
    """`Tables` of a lander at a URL; for any number of threads."""

    def __init__(self, url: str, timeout_s: float = 60.0) -> None:
        """Connect to nothing yet.

        Args:
            url: what `/v1/look` is appended to.
            timeout_s: for a reply; a commit that takes longer is asked about again.
        """
        self._url = url.rstrip("/")
        self._pool = urllib3.PoolManager(
            maxsize=_THREADS,
            timeout=urllib3.Timeout(connect=min(5.0, timeout_s), read=timeout_s),
            retries=False,
        )

    def look(self, table: str, apps: Sequence[str], *, reload: bool) -> dict[str, int | None]:
        """See `Tables`; raises TransientError `lander_failed` where no lander answers."""
        request = {"table": table, "apps": list(apps), "reload": reload}
        positions: dict[str, int | None] = self._post(LOOK, request)["positions"]
        return positions

    def commit(
        self,
        table: str,
        expected: Mapping[str, int | None],
        positions: Mapping[str, int],
        file: DataFile | None,
    ) -> bool:
        """See `Tables`; raises TransientError `lander_failed` where the reply is lost."""
        request = {
            "table": table,
            "expected": {app: expected[app] for app in positions},
            "positions": dict(positions),
            "file": None if file is None else asdict(file),
        }
        return bool(self._post(COMMIT, request)["committed"])

    def _post(self, path: str, request: Mapping[str, Any]) -> dict[str, Any]:
        url = self._url + path
        try:
            reply = self._pool.request("POST", url, json=request)
            value: dict[str, Any] = reply.json()
            if reply.status == 200:
                return value
            kind = SetupError if reply.status in (400, 500) else TransientError
            error = kind(value["code"], value["message"])
        except (HTTPError, ValueError, KeyError, TypeError) as lost:
            message = f"{url}: no reply of a lander ({lost}); is it running?"
            raise TransientError("lander_failed", message) from lost
        raise error


def lander_app(tables: Tables) -> App:
    """The ASGI application that serves tables: `POST /v1/look` and `POST /v1/commit`."""
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="lander")
    routes = {LOOK: _look, COMMIT: _commit}

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        assert scope["type"] == "http"
        route = routes.get(scope["path"].removeprefix(scope.get("root_path", "")))
        if route is None or scope["method"] != "POST":
            await _reply(send, 404, {"code": "usage", "message": f"POST {LOOK} or {COMMIT}"})
            return
        try:
            request = await _body(receive)
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(pool, route, tables, request)
        except ReelpageError as error:
            status = next(status for kind, status in _STATUS.items() if isinstance(error, kind))
            await _reply(send, status, {"code": error.code, "message": error.message})
        else:
            await _reply(send, 200, found)

    return app


def _look(tables: Tables, request: Mapping[str, Any]) -> dict[str, Any]:
    table, apps, reload = _fields(request, table=str, apps=list, reload=bool)
    _check(table in TABLES and all(isinstance(app, str) for app in apps), "table or apps")
    return {"positions": tables.look(table, apps, reload=reload)}


def _commit(tables: Tables, request: Mapping[str, Any]) -> dict[str, Any]:
    table, expected, positions = _fields(request, table=str, expected=dict, positions=dict)
    _check(table in TABLES and expected.keys() == positions.keys(), "table or positions")
    _check(all(type(place) is int for place in positions.values()), "positions")
    _check(all(place is None or type(place) is int for place in expected.values()), "expected")
    file = None
    if request.get("file") is not None:
        path, size, rows = _fields(request["file"], path=str, size=int, rows=int)
        _check(_FILE.fullmatch(path) is not None, "path")
        file = DataFile(path, size, rows)
    return {"committed": tables.commit(table, expected, positions, file)}


def _fields(value: Any, **types: type) -> list[Any]:  # noqa: ANN401 - JSON of anybody
    """The named fields, each of its type."""
    _check(isinstance(value, dict), "object")
    for name, kind in types.items():
        _check(type(value.get(name)) is kind, name)
    return [value[name] for name in types]


def _check(condition: bool, what: str) -> None:
    if not condition:
        message = f"the request's {what} is not what a lander takes; is the client of its version?"
        raise InputError("bad_request", message)


async def _body(receive: Receive) -> Mapping[str, Any]:
    data = b""
    while True:
        message = await receive()
        data += message.get("body", b"")
        _check(len(data) <= _BODY, "size")
        if not message.get("more_body"):
            break
    try:
        value = json.loads(data)
    except ValueError:
        value = None
    _check(isinstance(value, dict), "JSON")
    assert isinstance(value, dict)
    return value


async def _live(receive: Receive, send: Send) -> None:
    while (await receive())["type"] == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})


async def _reply(send: Send, status: int, value: Mapping[str, Any]) -> None:
    data = json.dumps(value).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(data))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": data})

"""Server: the lander as a process of its own, for workers that find it by `REELPAGE_LANDER`.

It stands outside the graph, so that a new model does not touch commits. It keeps nothing: one that
is killed, or two at a time while one replaces the other, lose and double nothing.
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

import uvicorn
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from pipeline.land.commit import Tables
from schemas.errors import SetupError
from services.calls.gate import Gate
from services.lander.answering import COMMIT, LOOK
from services.lander.desk import Desk

_GRACE_S: Final = 25  # for requests in work once it is told to stop
_BACKLOG: Final = 512
_START_S: Final = 0.01


@contextmanager
def served(tables: Tables, secret: str, host: str, port: int) -> Iterator[str]:
    """Answer for tables while the block runs, and then what has been asked by then.

    Args:
        tables: commit.
        secret: what callers have to show.
        host: address of this machine to answer on.
        port: to answer on; 0 for a free one.

    Returns:
        The URL.

    Raises:
        SetupError: `usage`, without a secret or with an address that is not to be had.
    """
    desk = Desk(tables)
    routes = {("POST", path): partial(desk.answer, path) for path in (LOOK, COMMIT)}
    gate = Gate(secret, routes, desk.ready)
    with _listen(host, port) as listener:
        server = _server(gate)
        thread = threading.Thread(target=server.run, args=([listener],), name="lander")
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(_START_S)
        try:
            yield "http://{}:{}".format(*listener.getsockname())
        finally:
            server.should_exit = True
            thread.join()


def _server(gate: Gate) -> uvicorn.Server:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        response = await gate(Request(scope, receive))
        await response(scope, receive, send)

    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    return uvicorn.Server(config)


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        message = f"{host}:{port}: cannot be listened on ({error}); choose another --host or --port"
        raise SetupError("usage", message) from error

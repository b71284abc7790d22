"""App: a lander as a process of its own, to be served by any ASGI server."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from starlette.applications import Starlette
from starlette.routing import Route

from pipeline.land.commit import Tables
from services.calls.gate import Gate
from services.lander.answering import AT_ONCE, COMMIT, LOOK, answer


def lander_app(tables: Tables, secret: str) -> Starlette:
    """The application that serves tables: `POST /v1/look` and `POST /v1/commit`.

    Raises:
        SetupError: `usage`, without a secret.
    """
    desk = Desk(tables)
    gate = Gate(
        secret,
        {("POST", path): partial(desk.answer, path) for path in (LOOK, COMMIT)},
        desk.ready,
    )
    return Starlette(routes=[Route("/{path:path}", gate.__call__, methods=["GET", "POST"])])


class Desk:
    """Answers many requests at a time; each waits for its commit in a thread."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._threads = ThreadPoolExecutor(AT_ONCE, "lander")

    async def answer(self, path: str, body: bytes) -> bytes:
        """See `answering.answer`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, answer, self._tables, path, body)

    async def ready(self) -> None:
        """Raise a ReelpageError while the lake cannot be reached."""
        await asyncio.to_thread(self._tables.look, "media", [], reload=True)

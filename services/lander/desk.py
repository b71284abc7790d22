"""Desk: answers what workers ask of the lander over HTTP."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from pipeline.land.commit import Tables
from services.lander.answering import AT_ONCE, answer


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

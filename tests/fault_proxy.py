"""A TCP proxy that breaks what a test tells it to, in front of S3 or a broker.

    with FaultProxy("127.0.0.1:9000") as proxy:
        proxy.arm("reset", on="reply", match=b"_delta_log")  # stored, never acknowledged
        ...  # a real client at proxy.address
        assert proxy.fired["reset reply"] == 1

A request is what a client sends at once, so `match` is looked for in every piece (64 KiB at most)
on its way to the server: an S3 path, a topic's name. The reply is the next piece that comes back.
"""

import asyncio
import socket
import struct
import threading
from collections import Counter, deque
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Literal, Self

Fault = Literal["reset", "hang", "503", "answer", "slow", "cut"]
Side = Literal["request", "reply"]

_PIECE: Final = 1 << 16
_LINGER: Final = struct.pack("ii", 1, 0)  # socket(7): closing then sends a reset
_UNAVAILABLE: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)


@dataclass
class _Armed:
    fault: Fault
    side: Side
    match: bytes
    times: int
    seconds: float
    answer: bytes


@dataclass(eq=False)
class _Connection:
    """Both ends of one proxied connection.

    Attributes:
        due: the fault that waits for the next reply.
        silent: sides of which nothing is passed on any more.
    """

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    due: _Armed | None = None
    silent: set[Side] = field(default_factory=set)

    def end(self, reset: bool = False) -> None:
        for writer in (self.client, self.server):
            if reset and not writer.transport.is_closing():
                sock: socket.socket = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
            writer.close()


class FaultProxy:
    """Listens on a port of its own and passes everything on until a fault is armed.

    Args:
        target: "host:port" of the server.
        advertised: put this proxy's address wherever replies name the target, as a Kafka broker
            does in its metadata; else clients would go round the proxy.
    """

    def __init__(self, target: str, advertised: bool = False) -> None:
        self._host, port = target.split(":")
        self._port = int(port)
        self._advertised = advertised
        self._armed: deque[_Armed] = deque()
        self._open: set[_Connection] = set()
        self._loop: asyncio.AbstractEventLoop
        self._server: asyncio.Server
        self._ready, self._stop = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._own = 0
        self.fired: Counter[str] = Counter()
        self.connections = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._own}"

    def arm(
        self,
        fault: Fault,
        on: Side = "request",
        match: bytes = b"",
        times: int = 1,
        seconds: float = 1.0,
        answer: bytes = _UNAVAILABLE,
    ) -> None:
        """Break the next `times` requests that hold `match`, after all that was armed before.

        On the request, the server never sees it (`cut`: sees half of it); on the reply, the server
        has done its work and the client never learns of it (`cut`: gets half of the reply).

        - `reset`: the connection is reset. On the reply: dropped after the store.
        - `hang`: nothing more comes until the client gives up.
        - `503`: the client gets this HTTP status.
        - `answer`: the client gets these bytes.
        - `slow`: goes on after `seconds`.
        - `cut`: half of the piece, then the end of the stream.
        """
        self._armed.append(_Armed(fault, on, match, times, seconds, answer))

    def disarm(self) -> None:
        """Forget what is armed and has not fired."""
        self._armed.clear()

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Refuse connections, the open ones are reset; then listen on the same port again."""
        self._call(self._refuse())
        try:
            yield
        finally:
            self._call(self._listen())

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._listen()
        self._ready.set()
        await self._stop.wait()
        await self._refuse()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._own)
        self._own = self._server.sockets[0].getsockname()[1]

    async def _refuse(self) -> None:
        self._server.close()
        for connection in self._open:
            connection.end(reset=True)
        while self._open:
            await asyncio.sleep(0.005)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            answers, server = await asyncio.open_connection(self._host, self._port)
        except OSError:  # the server is down: the client sees the same
            writer.transport.abort()
            return
        connection = _Connection(writer, server)
        self._open.add(connection)
        try:
            await asyncio.gather(
                self._pump(reader, connection, "request"), self._pump(answers, connection, "reply")
            )
        finally:
            connection.end()
            self._open.discard(connection)

    async def _pump(
        self, reader: asyncio.StreamReader, connection: _Connection, side: Side
    ) -> None:
        onward = connection.server if side == "request" else connection.client
        with suppress(OSError):
            while piece := await reader.read(_PIECE):
                armed = self._fault(piece, connection, side)
                if armed:
                    await self._break(armed, piece, connection, onward)
                if side not in connection.silent:
                    onward.write(self._readdress(piece) if side == "reply" else piece)
                    await onward.drain()
        connection.end()

    def _fault(self, piece: bytes, connection: _Connection, side: Side) -> _Armed | None:
        """The fault for this piece; a request may leave one for its reply."""
        if side == "reply":
            due, connection.due = connection.due, None
            return due
        armed = self._next(piece) if connection.due is None else None
        if armed and armed.side == "reply":
            connection.due = armed
            return None
        return armed

    def _next(self, piece: bytes) -> _Armed | None:
        """The first armed fault that this request sets off."""
        for armed in self._armed:
            if armed.match in piece:
                armed.times -= 1
                if armed.times == 0:
                    self._armed.remove(armed)
                return armed
        return None

    async def _break(
        self, armed: _Armed, piece: bytes, connection: _Connection, onward: asyncio.StreamWriter
    ) -> None:
        self.fired[f"{armed.fault} {armed.side}"] += 1
        if armed.fault == "slow":
            await asyncio.sleep(armed.seconds)
            return
        connection.silent.add(armed.side)
        if armed.fault in ("503", "answer"):
            connection.silent.add("reply")
            connection.client.write(armed.answer)
            connection.client.write_eof()
        elif armed.fault == "cut":
            onward.write(piece[: len(piece) // 2])
            connection.end()
        elif armed.fault == "reset":
            connection.end(reset=True)

    def _readdress(self, piece: bytes) -> bytes:
        """Kafka replies hold an address as the host's name and four bytes of port."""
        if not self._advertised:
            return piece
        host = self._host.encode()
        return piece.replace(
            host + struct.pack(">i", self._port), host + struct.pack(">i", self._own)
        )

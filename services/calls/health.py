"""Health: what a process says of itself on a port of its own, to whoever watches it.

`GET /healthz` says that it works, `/readyz` that it does what it is there for, and `/metrics` what
it has counted, in the text format of Prometheus. All are open to everybody who reaches the port.
"""

import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, Protocol

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from schemas.errors import SetupError

_SLOW_S: Final = 5.0  # for a request to come
_FRESH_S: Final = 2.0  # for which an answer of `/readyz` stands: everybody may ask
_TEXT: Final = "text/plain; charset=utf-8"


class Subject(Protocol):
    """What is watched; asked by any thread, and answers at once or raises."""

    def is_alive(self) -> bool:
        """Whether it goes on; if not, it should be started anew."""

    def is_ready(self) -> bool:
        """Whether it does its work, and what it needs is there."""


class Health:
    """Answers for a process; until it has a subject, the process is starting."""

    def __init__(self) -> None:
        self.subject: Subject | None = None
        self._lock, self._asked_at, self._ready = threading.Lock(), float("-inf"), False

    def is_alive(self) -> bool:
        """Whether the process may go on."""
        return self.subject is None or self.subject.is_alive()

    def is_ready(self) -> bool:
        """Whether its subject is ready, asked no more often than it has to be."""
        with self._lock:
            if self.subject is None:
                return False
            if time.monotonic() - self._asked_at > _FRESH_S:
                self._ready = self.subject.is_ready()
                self._asked_at = time.monotonic()
            return self._ready

    def answer(self, where: str) -> None:
        """Answer at an address from now on, in threads that end with the process.

        Args:
            where: "host:port"; nothing is answered where it is empty.

        Raises:
            SetupError: `usage`, if the address is not this machine's or somebody has the port.
        """
        if not where:
            return
        host, _, port = where.rpartition(":")
        try:
            server = _Server((host, int(port)), _Handler)
        except (OSError, OverflowError) as error:
            message = f"REELPAGE_WATCH={where}: cannot be listened on ({error}); choose another"
            raise SetupError("usage", message) from error
        server.health = self
        threading.Thread(target=server.serve_forever, name="health", daemon=True).start()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    health: Health


class _Handler(BaseHTTPRequestHandler):
    """One request; what it asks for is a path and nothing else."""

    server: _Server
    timeout = _SLOW_S

    def do_GET(self) -> None:
        """Answer."""
        health = self.server.health
        match self.path.partition("?")[0]:
            case "/healthz":
                self._say(health.is_alive())
            case "/readyz":
                self._say(health.is_ready())
            case "/metrics":
                self._reply(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(REGISTRY))
            case _:
                self._reply(HTTPStatus.NOT_FOUND, _TEXT, b"/healthz, /readyz or /metrics\n")

    def log_message(self, format: str, *args: object) -> None:
        """Log no requests: they come every few seconds."""

    def _say(self, yes: bool) -> None:
        status = HTTPStatus.OK if yes else HTTPStatus.SERVICE_UNAVAILABLE
        self._reply(status, _TEXT, b"yes\n" if yes else b"no\n")

    def _reply(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

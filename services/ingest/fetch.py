"""Fetch: URLs to local files, by a client that refuses addresses inside the network.

The host is resolved once, every address is checked, and the connection goes to the address that
was checked, so that a second look-up cannot give another one (DNS rebinding). Each redirect is
checked anew. No credentials, cookies or proxies are used. A timer ends the connection when the time
is up: a server that sends a byte now and then outlives every time-out of a socket.
"""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Final
from urllib.parse import urljoin

from pipeline.consume import masked, quoted
from schemas import __version__
from schemas.errors import InputError, ReelpageError, TransientError
from services.ingest.address import Address, address_of, is_public
from services.settings import Settings

_DEADLINE_S: Final = 600.0
_TIMEOUT_S: Final = 20.0
_REDIRECTS: Final = 3
_REDIRECTED: Final = frozenset({301, 302, 303, 307, 308})
_LATER: Final = frozenset({408, 421, 425, 429, *range(500, 600)})  # the rest of 4xx is for good
_BLOCK: Final = 1 << 18


def is_url(text: str) -> bool:
    """Whether an argument names an address rather than a path."""
    return "://" in text


def fetch(
    url: str,
    target: Path,
    *,
    max_bytes: int = Settings.max_bytes,
    deadline_s: float = _DEADLINE_S,
    allow_private: bool = False,
) -> None:
    """Download `url` to `target`.

    Args:
        url: http:// or https:// address; any other text is refused.
        target: file to write; removed again if the download fails.
        max_bytes: of the file.
        deadline_s: for all of it, whatever the server sends meanwhile, redirects included.
        allow_private: skip the address check; for tests against a server on loopback.

    Raises:
        InputError: `url_refused`, `too_large`, `not_found` or `not_readable`.
        TransientError: `fetch_failed`, with what went wrong.
    """
    download = _Download(target, max_bytes, time.monotonic() + deadline_s, allow_private)
    try:
        _follow(url, download)
    except (OSError, ValueError, HTTPException) as error:
        target.unlink(missing_ok=True)
        why = f"failed ({type(error).__name__})"
        if time.monotonic() >= download.give_up:
            why = f"took longer than {deadline_s:g} s"
        message = f"{_shown(url)}: the download {why}; try again later"
        raise TransientError("fetch_failed", message) from error
    except ReelpageError:
        target.unlink(missing_ok=True)
        raise


@dataclass(frozen=True)
class _Download:
    """What holds for all requests of one download; it ends at `give_up`, monotonic seconds."""

    target: Path
    max_bytes: int
    give_up: float
    allow_private: bool


def _follow(url: str, download: _Download) -> None:
    here = url
    for _ in range(_REDIRECTS + 1):
        following = _fetch_once(here, download)
        if following is None:
            return
        here = following
    message = f"{_shown(url)}: more than {_REDIRECTS} redirects; give the final address"
    raise InputError("url_refused", message)


def _fetch_once(url: str, download: _Download) -> str | None:
    """Download, or give the address that the server names instead."""
    address = address_of(url)
    checked = _checked(address, url, download.allow_private)
    headers = {"User-Agent": f"reelpage/{__version__}", "Accept-Encoding": "identity"}
    with _connected(address, checked, download.give_up) as connection:
        connection.request("GET", address.target, headers=headers)
        with connection.getresponse() as response:
            location = response.getheader("Location")
            if response.status in _REDIRECTED and location:
                return _joined(url, location)
            _check_status(response.status, url)
            _copy(response, url, download)
            return None


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        message = f"{_shown(url)}: redirects to {_shown(location)}, which is no address"
        raise InputError("url_refused", message) from error


@contextmanager
def _connected(address: Address, checked: str, give_up: float) -> Iterator[HTTPConnection]:
    """A connection that ends in time, whatever the other side sends or does not send."""
    with ExitStack() as stack:
        timeout_s = min(_TIMEOUT_S, max(give_up - time.monotonic(), 0.001))
        sock = stack.enter_context(socket.create_connection((checked, address.port), timeout_s))
        sock.settimeout(_TIMEOUT_S)
        if address.scheme == "https":
            sock = stack.enter_context(_secured(sock, address.host))
        watch = threading.Timer(max(give_up - time.monotonic(), 0), _cut, [sock])
        watch.start()
        stack.callback(watch.cancel)
        if isinstance(sock, ssl.SSLSocket):
            sock.do_handshake()
        connection = HTTPConnection(address.host, address.port)
        connection.sock = sock
        yield connection


def _secured(sock: socket.socket, host: str) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    return context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)


def _cut(sock: socket.socket) -> None:
    """End what a connection reads, TLS or not, in the thread that reads it."""
    with suppress(OSError):  # it has ended meanwhile
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _checked(address: Address, url: str, allow_private: bool) -> str:
    """The host's address, if all that it has are public."""
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    known = [str(entry[4][0]) for entry in found]
    if not allow_private and not all(map(is_public, known)):
        message = f"{_shown(url)}: its host is not on the public internet; copy the file here first"
        raise InputError("url_refused", message)
    return known[0]


def _check_status(status: int, url: str) -> None:
    if status == HTTPStatus.OK:
        return
    said = f"{_shown(url)}: the server answered HTTP {status}"
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        raise InputError("not_found", f"{said}, it has no such file; check the address")
    if status in _LATER:
        raise TransientError("fetch_failed", f"{said}; try again later")
    raise InputError("not_readable", f"{said}; give an address that anybody may read")


def _copy(response: HTTPResponse, url: str, download: _Download) -> None:
    most = download.max_bytes
    if (response.length or 0) > most:
        raise _too_large(url, most)
    with download.target.open("wb") as file:
        while block := response.read(_BLOCK):
            if file.tell() + len(block) > most:
                raise _too_large(url, most)
            file.write(block)
    if response.length or time.monotonic() >= download.give_up:
        message = f"{response.length} bytes are missing"
        raise HTTPException(message)


def _too_large(url: str, most: int) -> InputError:
    message = f"{_shown(url)}: larger than {most} bytes; raise REELPAGE_MAX_BYTES"
    return InputError("too_large", message)


def _shown(url: str) -> str:
    return quoted(masked(url))

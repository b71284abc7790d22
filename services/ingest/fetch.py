"""Fetch: URLs to local files, by a client that refuses addresses inside the network.

The host is resolved once, every address is checked, and the connection goes to the address that
was checked, so that a second look-up cannot give another one (DNS rebinding). Each redirect is
checked anew. No credentials, cookies or proxies are used.
"""

import http.client
import ipaddress
import socket
import ssl
import time
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

from pipeline.consume import quoted
from schemas import __version__
from schemas.errors import InputError, TransientError

MAX_BYTES: Final = 4 << 30
DEADLINE_S: Final = 600.0
_TIMEOUT_S: Final = 20.0
_REDIRECTS: Final = 3
_BLOCK: Final = 1 << 18


def is_url(text: str) -> bool:
    """Whether an argument names an address rather than a path."""
    return "://" in text


def fetch(url: str, target: Path, *, allow_private: bool = False) -> None:
    """Download `url` to `target`.

    Args:
        url: http:// or https:// address.
        target: file to write; removed again if the download fails.
        allow_private: skip the address check; for tests against a server on loopback.

    Raises:
        InputError: `url_refused` or `too_large` or `not_found`.
        TransientError: `fetch_failed`, with what went wrong.
    """
    give_up = time.monotonic() + DEADLINE_S
    try:
        for _ in range(_REDIRECTS + 1):
            following = _fetch_once(url, target, give_up, allow_private)
            if following is None:
                return
            url = following
    except (OSError, http.client.HTTPException) as error:
        target.unlink(missing_ok=True)
        message = f"{quoted(url)}: download failed ({type(error).__name__}); try again later"
        raise TransientError("fetch_failed", message) from error
    except InputError:
        target.unlink(missing_ok=True)
        raise
    message = f"{quoted(url)}: more than {_REDIRECTS} redirects; give the final address"
    raise InputError("url_refused", message)


def _fetch_once(url: str, target: Path, give_up: float, allow_private: bool) -> str | None:
    parts = urlsplit(url)
    connection = _connect(parts, url, allow_private)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {"User-Agent": f"reelpage/{__version__}", "Accept-Encoding": "identity"}
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        location = response.getheader("Location")
        if response.status in (301, 302, 303, 307, 308) and location:
            return urljoin(url, location)
        _check_status(response.status, url)
        _copy(response, target, url, give_up)
        return None
    finally:
        connection.close()


def _connect(parts: SplitResult, url: str, allow_private: bool) -> http.client.HTTPConnection:
    if parts.scheme not in ("http", "https") or not parts.hostname:
        message = f"{quoted(url)}: only http:// and https:// addresses and paths can be read here"
        raise InputError("url_refused", message)
    host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    address = _checked_address(host, port, url, allow_private)
    plain = socket.create_connection((address, port), timeout=_TIMEOUT_S)
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
    connection.sock = (
        ssl.create_default_context().wrap_socket(plain, server_hostname=host)
        if parts.scheme == "https"
        else plain
    )
    return connection


def _checked_address(host: str, port: int, url: str, allow_private: bool) -> str:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(entry[4][0]) for entry in found]
    if not allow_private and not all(_is_public(address) for address in addresses):
        message = f"{quoted(url)}: its host is not on the public internet; copy the file here first"
        raise InputError("url_refused", message)
    return addresses[0]


def _is_public(address: str) -> bool:
    ip = ipaddress.ip_address(address.split("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and (inner := ip.ipv4_mapped or ip.sixtofour):
        ip = inner
    return ip.is_global and not ip.is_multicast


def _check_status(status: int, url: str) -> None:
    if status == 200:
        return
    if status in (404, 410):
        message = f"{quoted(url)}: the server has no such file (HTTP {status}); check the address"
        raise InputError("not_found", message)
    message = f"{quoted(url)}: the server answered HTTP {status}; try again later"
    raise TransientError("fetch_failed", message)


def _copy(response: http.client.HTTPResponse, target: Path, url: str, give_up: float) -> None:
    total = 0
    with target.open("wb") as file:
        while block := response.read(_BLOCK):
            total += len(block)
            if total > MAX_BYTES:
                message = f"{quoted(url)}: larger than {MAX_BYTES} bytes; download it yourself"
                raise InputError("too_large", message)
            if time.monotonic() > give_up:
                message = f"{quoted(url)}: took longer than {DEADLINE_S:.0f} s; download it first"
                raise TransientError("fetch_failed", message)
            file.write(block)
    if response.length:
        message = f"{quoted(url)}: the connection ended {response.length} bytes early; try again"
        raise TransientError("fetch_failed", message)

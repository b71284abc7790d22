"""Fetch: what servers do that are slow, large or lead inside, and what a URL may not be."""

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import InputError, ReelpageError
from services.ingest.address import address_of, is_public
from services.ingest.fetch import fetch

ANY_TEXT = st.text(st.characters(codec=None, categories=None, max_codepoint=0x10FFFF))
OK = b"HTTP/1.1 200 OK\r\n"


@contextmanager
def server(serve: Callable[[socket.socket], object]) -> Iterator[str]:
    """Serves each connection in its way; its address."""

    def answer(client: socket.socket) -> None:
        with client, suppress(OSError):
            client.recv(65536)
            serve(client)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=answer, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def dribble(start: bytes) -> Callable[[socket.socket], None]:
    """Says something, and then a byte now and then."""

    def serve(client: socket.socket) -> None:
        client.sendall(start)
        for _ in range(300):
            client.sendall(b"x")
            time.sleep(0.1)

    return serve


def outcome(url: str, target: Path, *, max_bytes: int = 100, deadline_s: float = 10.0) -> str:
    try:
        fetch(url, target, max_bytes=max_bytes, deadline_s=deadline_s, allow_private=True)
    except ReelpageError as error:
        return f"{error.code}: {error.message}"
    return "done"


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Slow: ",
        OK + b"Content-Length: 90\r\n\r\n",
        OK + b"\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n50\r\n",
        b"\x16\x03\x03\x40\x00",  # a long record of a TLS handshake
    ],
)
def test_a_dribble_does_not_outlive_the_deadline(scheme: str, start: bytes, tmp_path: Path) -> None:
    target = tmp_path / "medium"
    with server(dribble(start)) as address:
        began = time.monotonic()
        said = outcome(f"{scheme}://{address}/a.mp4", target, deadline_s=1.0)
        assert time.monotonic() - began < 8
    assert said.startswith("fetch_failed: ")
    assert not target.exists()
    if scheme == "http" and start.startswith(b"HTTP"):
        assert "took longer than 1 s" in said


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (OK + b"Content-Length: 100\r\n\r\n" + bytes(100), "done"),
        (OK + b"Content-Length: 101\r\n\r\n" + bytes(101), "too_large"),
        (OK + b"\r\n" + bytes(101), "too_large"),
        (OK + b"Content-Length: 9\r\n\r\nshort", "fetch_failed"),
        (OK + b"Content-Length: many\r\n\r\n" + bytes(100), "done"),
        (b"no HTTP\r\n\r\n", "fetch_failed"),
        (b"HTTP/1.1 404 No\r\n\r\n", "not_found"),
        (b"HTTP/1.1 403 No\r\n\r\n", "not_readable"),
        (b"HTTP/1.1 503 No\r\n\r\n", "fetch_failed"),
        (b"HTTP/1.1 302 No\r\nLocation: http://[\r\n\r\n", "url_refused"),
        (b"HTTP/1.1 302 No\r\nLocation: ftp://host/a\r\n\r\n", "url_refused"),
        (b"HTTP/1.1 302 No\r\nLocation: /again\r\n\r\n", "url_refused"),
    ],
)
def test_what_servers_say(reply: bytes, said: str, tmp_path: Path) -> None:
    target = tmp_path / "medium"
    with server(lambda client: client.sendall(reply)) as address:
        assert outcome(f"http://{address}/a.mp4?token=hush", target).partition(":")[0] == said
        assert "hush" not in outcome(f"http://{address}/a.mp4?token=hush", target)
    assert target.exists() == (said == "done")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.168.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::7f00:1",
        "64:ff9b:1::808:808",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "fc00::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
    ],
)
def test_addresses_inside_the_network(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "2002:808:808::1"]
)
def test_addresses_of_the_public_internet(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://example..com/a.mp4",
        "http://example.com:99999/a.mp4",
        "http://example.com:port/a.mp4",
        "http://[",
        "http://[::1/a",
        "http://[::ffff:127.0.0.1]/a",
        "http://[64:ff9b::7f00:1]:80/a",
        "http://a\0b/c",
        "http://host/\ud800",
        "http://\ud800/a",
        "http://user:hush@example.com/a",
        f"http://{'a' * 64}.com/a",
        "http://",
        "http:///a",
        "ftp://example.com/a",
        "//example.com/a",
        "http://a b/c",
        "https://.example.com/a",
        "http://127.1/a",
        "http://2130706433/a",
    ],
)
def test_addresses_that_are_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        fetch(url, tmp_path / "medium")
    assert caught.value.code == "url_refused"
    assert caught.value.message.isprintable()
    assert "hush" not in caught.value.message


@given(
    st.one_of(
        ANY_TEXT,
        ANY_TEXT.map("http://{}/a".format),
        ANY_TEXT.map("https://host/{}".format),
        ANY_TEXT.map("http://host:{}/".format),
        ANY_TEXT.map("http://host?{}".format),
    )
)
def test_any_text_is_refused_or_can_be_asked_for(url: str) -> None:
    try:
        address = address_of(url)
    except InputError as error:
        assert error.code == "url_refused"  # noqa: PT017 - or there is no error
        return
    with suppress(socket.gaierror):
        socket.getaddrinfo(address.host, address.port, flags=socket.AI_NUMERICHOST)
    http.client.HTTPConnection(address.host, address.port).putrequest("GET", address.target)

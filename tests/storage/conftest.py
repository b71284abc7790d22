"""Stores for tests: a real one, the same behind TLS, and small ones that break promises."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from services.settings import Settings
from services.stack.servers import S3Server


def settings_of(s3: S3Server, endpoint: str = "", **more: str) -> Settings:
    """The settings that reach a store, perhaps by another address."""
    return Settings(
        s3_endpoint=endpoint or s3.endpoint,
        s3_access_key=s3.access_key,
        s3_secret_key=s3.secret_key,
        **more,  # type: ignore[arg-type]
    )


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `ca.pem`, and `cert.pem` of 127.0.0.1 and its key that it signed."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    store = authority.issue_cert("127.0.0.1")
    store.private_key_and_cert_chain_pem.write_to_path(str(folder / "cert.pem"))
    return folder


@dataclass(frozen=True)
class Secure:
    endpoint: str
    ca_file: Path


@pytest.fixture
def secure(s3: S3Server, certificates: Path) -> Iterator[Secure]:
    """The store behind TLS, with a certificate that the public authorities do not know."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "cert.pem")
    host, _, port = s3.endpoint.removeprefix("http://").partition(":")

    def serve(client: socket.socket) -> None:
        with (
            suppress(OSError),
            context.wrap_socket(client, server_side=True) as ours,
            socket.create_connection((host, int(port))) as theirs,
        ):
            other = threading.Thread(target=pump, args=(theirs, ours), daemon=True)
            other.start()
            pump(ours, theirs)
            other.join()

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield Secure(f"https://127.0.0.1:{listener.getsockname()[1]}", certificates / "ca.pem")
        listener.shutdown(socket.SHUT_RDWR)


def pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while block := source.recv(65536):
            sink.sendall(block)
        sink.shutdown(socket.SHUT_WR)

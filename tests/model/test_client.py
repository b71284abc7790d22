"""The graph's client on a network that breaks replies."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from services.model.client import GraphClient
from services.model.wire import ServedModel, model_to_json

MODEL = ServedModel("some", "some-1", 3136, 12544)
BODY = model_to_json(MODEL)
REPLY = b"HTTP/1.1 200 OK\r\nServer: one\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


@contextmanager
def server(replies: Sequence[bytes]) -> Iterator[str]:
    """A server that gives each connection the next reply, and ends it; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for reply in replies:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(1 << 16)
                    connection.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        yield "http://{}:{}".format(*listener.getsockname())
        thread.join()


@pytest.mark.parametrize("length", range(0, len(REPLY), 12))
def test_a_reply_that_was_cut_is_asked_for_again(length: int) -> None:
    """Where the header is cut, nothing says that a body is missing."""
    with server([REPLY[:length], REPLY]) as address:
        assert GraphClient(address, deadline_s=20).model() == MODEL

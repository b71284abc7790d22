"""Client: consumers, producers and admins of kafka-python that close to the last socket.

A consumer and an admin have a thread of kafka-python that drives their connections. Its own `close`
takes the connections from under that thread ("generator already executing"), loses those that are
being made, and is not reached at all by a consumer whose bootstrap failed: its thread runs on.
"""

import socket
from collections.abc import Callable
from typing import Any, Final, TypeVar

from kafka.net.compat import KafkaNetClient
from kafka.net.inet import KafkaNetSocket

T = TypeVar("T")

_SCHEME: Final = "closing"


def opened(kind: Callable[..., T], **options: Any) -> T:  # noqa: ANN401 - kafka-python's
    """A `KafkaConsumer`, `KafkaProducer` or `KafkaAdminClient`, to be closed by who uses it.

    Args:
        kind: the class.
        options: its own.

    Raises:
        KafkaError: the broker does not answer; nothing stays open.
    """
    clients: list[_Client] = []

    def client(**more: Any) -> _Client:  # noqa: ANN401 - kafka-python's
        clients.append(_Client(**more))
        return clients[-1]

    try:
        return kind(kafka_client=client, proxy_url=f"{_SCHEME}:", **options)
    except BaseException:
        for one in clients:
            one.close()
        raise


class _Client(KafkaNetClient):  # type: ignore[misc]
    """Closes in one thread: that of the connections ends first."""

    def close(self, node_id: Any = None) -> None:  # noqa: ANN401 - an int, or a bootstrap's name
        if node_id is not None:
            super().close(node_id)
            return
        self._net.stop()
        connections = list(self._manager._conns.values())
        self._manager.close()
        for one in connections:
            if one.transport is not None:  # it waits to say more, and nobody drives it
                one.transport._close()
        super().close()


class _Socket(KafkaNetSocket):  # type: ignore[misc]
    """A direct connection, whose socket is closed where it fails or is given up."""

    SCHEMES = (_SCHEME,)

    async def sock_connect(
        self,
        net: Any,  # noqa: ANN401 - kafka-python's
        sock: socket.socket,
        address: Any,  # noqa: ANN401 - of its family
        timeout_at: float | None = None,
    ) -> socket.socket:
        """Connect; what ends an attempt may also be the end of its loop."""
        try:
            connected: socket.socket = await super().sock_connect(net, sock, address, timeout_at)
        except BaseException:
            sock.close()
            raise
        return connected

"""TCP ports of 127.0.0.1 that nothing takes between the choice and the start of a server."""

import random
import socket
from collections.abc import Iterable, Sequence
from typing import Final

from schemas.errors import SetupError
from services.machine import HOST

GRPC: Final = 10_000  # SeaweedFS listens on every port plus this one
_LOWEST, _HIGHEST = 10_240, 22_700  # with GRPC added still below Linux's outgoing ports
_ATTEMPTS: Final = 500


class Ports:
    """Ports that stay ours as long as this object is open, servers on them or not.

    A socket that is bound but never listens keeps everyone else away. `SO_REUSEADDR`, set after
    the bind, lets a server that sets it too (as Go, Rust and Java do) listen beside it. Linux.
    """

    def __init__(self) -> None:
        self._held: list[socket.socket] = []

    def choose(self, count: int) -> list[int]:
        """`count` free ports; the port 10,000 above each is held as well.

        Raises:
            SetupError: `server_failed`, when the machine has no free ports left.
        """
        chosen: list[int] = []
        for _ in range(_ATTEMPTS):
            if len(chosen) == count:
                return chosen
            port = random.randint(_LOWEST, _HIGHEST)
            if self.hold([port, port + GRPC]):
                chosen.append(port)
        message = f"no {count} free ports on {HOST} between {_LOWEST} and {_HIGHEST}"
        raise SetupError("server_failed", message)

    def hold(self, ports: Iterable[int]) -> bool:
        """Hold all these ports, or none of them when one is taken."""
        held: list[socket.socket] = []
        for port in ports:
            held.append(socket.socket())
            try:
                held[-1].bind((HOST, port))
            except OSError:
                for bound in held:
                    bound.close()
                return False
            held[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held += held
        return True

    def keep(self, ports: Sequence[int]) -> None:
        """Hold ports that were chosen before, on which connections may still be closing.

        Raises:
            SetupError: `server_failed`, naming the port on which somebody else listens.
        """
        if taken := self.taken(ports):
            message = f"port {taken[0]} of {HOST} is in use; end what listens on it"
            raise SetupError("server_failed", message)
        for port in ports:
            self._held.append(socket.socket())
            self._held[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._held[-1].bind((HOST, port))

    @staticmethod
    def taken(ports: Iterable[int]) -> list[int]:
        """Those on which somebody listens."""
        found: list[int] = []
        for port in ports:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((HOST, port))
                except OSError:
                    found.append(port)
        return found

    def close(self) -> None:
        """Let go of all ports."""
        while self._held:
            self._held.pop().close()

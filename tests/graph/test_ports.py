"""What the processes of a graph listen on, and whom Ray's own ports let in."""

import ipaddress
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from tests.graph.conftest import Graph
from tests.graph.processes import family

pytestmark = pytest.mark.ci

LISTENS = "0A"  # the state in /proc/net/tcp
NODES = "/ray.rpc.NodeInfoGcsService/GetAllNodeInfo"
ANSWER = "/ray.serve.ASGIService/HandleRequest"
"""Of a replica, which unpickles what it is sent."""


@dataclass(frozen=True)
class Listener:
    process: str
    address: ipaddress.IPv4Address | ipaddress.IPv6Address
    port: int


def sockets() -> dict[str, tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]]:
    """Addresses that are listened on, by the socket's inode."""
    found = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == LISTENS:
                digits, _, port = local.partition(":")
                words = [bytes.fromhex(word)[::-1] for word in re.findall(".{8}", digits)]
                address = ipaddress.ip_address(b"".join(words))
                found[rest[5]] = (getattr(address, "ipv4_mapped", None) or address, int(port, 16))
    return found


def listeners(pid: int) -> list[Listener]:
    known, found = sockets(), []
    for process in family(pid):
        with suppress(OSError):
            name = (process / "comm").read_text().strip()
            for link in (process / "fd").iterdir():
                with suppress(OSError):
                    inode = re.sub(r"\D", "", str(link.readlink()))
                    if inode in known:
                        found.append(Listener(name, *known[inode]))
    return found


def test_the_graph_listens_on_loopback_but_for_what_asks_for_a_token(graph: Graph) -> None:
    """Serve's replicas listen for each other on every address, and no option changes that."""
    found = listeners(graph.pid)
    assert {"gcs_server", "raylet"} <= {one.process for one in found}
    assert int(graph.url.rpartition(":")[2]) in {one.port for one in found}
    outside = [one for one in found if not one.address.is_loopback]
    assert {one.process for one in outside} <= {"ray::ServeRepli"}
    for one in outside:
        assert called(one.port, "") == called(one.port, "0" * 64) == "UNAUTHENTICATED"
        assert called(one.port, token_of(graph)) not in ("UNAUTHENTICATED", "UNAVAILABLE")


def test_ray_lets_nobody_in_without_its_token(graph: Graph) -> None:
    (port,) = {one.port for one in listeners(graph.pid) if one.process == "gcs_server"}
    assert called(port, "", NODES) == called(port, "0" * 64, NODES) == "UNAUTHENTICATED"
    assert called(port, token_of(graph), NODES) == "OK"


def token_of(graph: Graph) -> str:
    server = next(one for one in family(graph.pid) if (one / "comm").read_text() == "gcs_server\n")
    token = re.search(rb"RAY_AUTH_TOKEN=([0-9a-f]+)", (server / "environ").read_bytes())
    assert token is not None
    return token[1].decode()


def called(port: int, token: str, method: str = ANSWER) -> str:
    """The status of a call with an empty request."""
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            channel.unary_unary(method)(b"", timeout=20, metadata=metadata)
        except grpc.RpcError as error:
            return str(error.code().name)  # type: ignore[attr-defined]
    return "OK"

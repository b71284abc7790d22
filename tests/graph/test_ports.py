"""What the processes of a graph listen on, and whom Ray's own ports let in."""

import ipaddress
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import environment
from tests.graph.conftest import Graph

LISTENS = "0A"  # the state in /proc/net/tcp
JOIN = """
import sys, ray
ray.init(address=sys.argv[1], log_to_driver=False)
print(len(ray.nodes()), "nodes")
"""


@dataclass(frozen=True)
class Listener:
    process: str
    address: ipaddress.IPv4Address | ipaddress.IPv6Address
    port: int


def family(pid: int) -> Iterator[Path]:
    """A process and those that it started, directly or not."""
    yield Path(f"/proc/{pid}")
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from family(int(child))


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


def test_the_graph_listens_on_loopback_alone(graph: Graph) -> None:
    found = listeners(graph.pid)
    names = {one.process for one in found}
    assert {"gcs_server", "raylet"} <= names
    assert int(graph.url.rpartition(":")[2]) in {one.port for one in found}
    assert [one for one in found if not one.address.is_loopback] == []


def test_ray_lets_nobody_in_without_its_token(graph: Graph, tmp_path: Path) -> None:
    port = next(one.port for one in listeners(graph.pid) if one.process == "gcs_server")
    server = next(one for one in family(graph.pid) if (one / "comm").read_text() == "gcs_server\n")
    token = re.search(rb"RAY_AUTH_TOKEN=([0-9a-f]+)", (server / "environ").read_bytes())
    assert token is not None
    assert "1 nodes" in joined(port, tmp_path, RAY_AUTH_TOKEN=token[1].decode())
    for mode in ("token", "disabled"):
        given = {"RAY_AUTH_TOKEN": "0" * 64, "RAY_AUTH_MODE": mode}
        assert "nodes" not in joined(port, tmp_path, **given)


def joined(port: int, home: Path, **more: str) -> str:
    """What a stranger who knows the address gets to see of the cluster."""
    given = environment(HOME=str(home), RAY_AUTH_MODE="token") | more
    command = [sys.executable, "-c", JOIN, f"127.0.0.1:{port}"]
    with suppress(subprocess.TimeoutExpired):
        done = subprocess.run(
            command, capture_output=True, text=True, env=given, timeout=60, cwd=home, check=False
        )
        return done.stdout
    return ""

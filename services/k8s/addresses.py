"""Addresses: servers that a process is told of are there, and policies let it through to them."""

from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from services.k8s.commands import role
from services.k8s.documents import Container, Overlay, Problem
from services.k8s.environment import environment
from services.k8s.policies import stopped, stopped_outside
from services.k8s.references import expected
from services.k8s.selectors import Service, services

_KAFKA: Final = "REELPAGE_KAFKA"
_STORE: Final = "REELPAGE_S3_ENDPOINT"
_ASKED: Final[Mapping[str, tuple[str, ...]]] = {
    "worker": ("REELPAGE_GRAPH", "REELPAGE_LANDER", _STORE, _KAFKA),
    "lander": (_STORE,),
    "submit": (_STORE, _KAFKA),
    "compact": (_STORE,),
    "vacuum": (_STORE,),
    "graph": (_STORE,),
}
"""Which servers each process asks."""
_PORTS: Final = {"http": 80, "https": 443}


def addresses(overlay: Overlay) -> Iterator[Problem]:
    """Servers that are not there, or that a process does not reach."""
    known, elsewhere = services(overlay), expected(overlay)
    for container in overlay.containers:
        found = environment(overlay, container)
        for name in _ASKED.get(role(container), ()):
            for host, port in _servers(name, found.get(name) or ""):
                path = f"env.{name}"
                if host in known:
                    yield from _inside(overlay, container, path, known[host], port)
                elif "." not in host and f"Service/{host}" not in elsewhere:
                    names = ", ".join(sorted(known)) or "none"
                    what = f"there is no Service {host!r}; there are {names}"
                    yield container.problem(path, what)
                elif stopped_outside(overlay, container.pod, port):
                    what = f"no NetworkPolicy lets it out to port {port} of {host}"
                    yield container.problem(path, what)


def _servers(name: str, value: str) -> Iterator[tuple[str, int]]:
    """Hosts and ports in a setting."""
    if name == _KAFKA:
        for address in filter(None, value.split(",")):
            host, _, port = address.rpartition(":")
            yield host, int(port)
    elif value:
        url = urlsplit(value)
        yield url.hostname or "", url.port or _PORTS[url.scheme]


def _inside(
    overlay: Overlay, container: Container, path: str, service: Service, port: int
) -> Iterator[Problem]:
    target = service.ports.get(port)
    if target is None:
        ports = ", ".join(map(str, service.ports))
        yield container.problem(path, f"Service {service.name} has no port {port}; it has {ports}")
        return
    for pod in service.pods[:1]:
        if way := stopped(overlay, container.pod, pod, target):
            what = f"{way} of port {target} is allowed by no NetworkPolicy, to {service.name}"
            yield container.problem(path, what)


def landers(overlay: Overlay) -> Iterator[Problem]:
    """Workers that send commits to a lander beside the graph, where there is none."""
    known = services(overlay)
    for container in overlay.containers:
        url = environment(overlay, container).get("REELPAGE_LANDER") or ""
        service = known.get(urlsplit(url).hostname or "")
        if role(container) == "worker" and service is not None:
            roles = {role(one) for behind in service.pods for one in behind.containers}
            if "lander" not in roles:
                what = f"{url} is no lander: behind {service.name} runs {_list(roles)}"
                yield container.problem("env.REELPAGE_LANDER", what)


def _list(roles: set[str]) -> str:
    return ", ".join(sorted(one or "another program" for one in roles))

"""Commands: what containers of ours run is a command of reelpage, on the ports that they name."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from services.k8s.documents import CLUSTERS, Container, Overlay, Problem
from services.k8s.environment import environment

Refusal = Callable[[Sequence[str]], str]
"""What the command line says of some words that it refuses; empty if it takes them."""

_NAME: Final = "reelpage"
_VARIABLE: Final = re.compile(r"\$\((\w+)\)")
_ANSWERED: Final = ("/healthz", "/readyz")
_LAKE: Final = "REELPAGE_LAKE"
_KAFKA: Final = "REELPAGE_KAFKA"
_NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "worker": (_KAFKA, _LAKE, "REELPAGE_GRAPH"),  # without a graph it would load the model itself
    "lander": (_LAKE,),
    "graph": (_LAKE,),
    "submit": (_KAFKA, _LAKE),
}
_SECRETIVE: Final = ("worker", "lander", "graph")


def role(container: Container) -> str:
    """The command of reelpage that a container runs; "graph" in a Ray cluster; empty for others."""
    if container.pod.document.kind in CLUSTERS:
        return "graph"
    if not _is_ours(container):
        return ""
    return next(iter(_words(container)), "")


def _is_ours(container: Container) -> bool:
    image = str(container.body.get("image", "")).partition("@")[0].rpartition("/")[2]
    return image.startswith(_NAME)


def _words(container: Container) -> list[str]:
    """What follows the name of the program, which the images start."""
    command = container.body.get("command") or [_NAME]
    return [*command[1:], *(container.body.get("args") or [])]


def commands(overlay: Overlay, refusal: Refusal) -> Iterator[Problem]:
    """Commands and options that are none, and variables in them that are not there."""
    for container in overlay.containers:
        if role(container) in ("", "graph"):
            continue
        known = environment(overlay, container)
        words = _words(container)
        for name in _VARIABLE.findall(" ".join(words)):
            if name not in known:
                yield container.problem("args", f"$({name}): there is no such variable")
        if said := refusal([_filled(word, known) for word in words]):
            yield container.problem("args", f"{' '.join([_NAME, *words])}: {said}")


def _filled(word: str, known: dict[str, str | None]) -> str:
    return _VARIABLE.sub(lambda found: known.get(found[1]) or "unknown", word)


def needs(overlay: Overlay) -> Iterator[Problem]:
    """Processes that would not start, or work otherwise than is meant, for want of a setting."""
    for container in overlay.containers:
        known = environment(overlay, container)
        for name in _NEEDED.get(role(container), ()):
            if not known.get(name, ""):
                what = f"{name} is missing, which {role(container)} needs"
                yield container.problem("env", what)
        if role(container) in _SECRETIVE and not _has_secret(container, known):
            what = "names no Secret; REELPAGE_SECRET and the store's keys come from one"
            yield container.problem("envFrom", what)


def _has_secret(container: Container, known: Mapping[str, str | None]) -> bool:
    sources = [one.get("secretRef") or {} for one in container.body.get("envFrom") or []]
    named = any(not one.get("optional") for one in sources if one)
    return named or "REELPAGE_SECRET" in known


def listening(overlay: Overlay) -> Iterator[Problem]:
    """Ports on which a process of ours listens, and its container does not say so."""
    for container in overlay.containers:
        for what, port in _listens(overlay, container):
            if port not in container.ports:
                yield container.problem("ports", f"{what} is no port of the container; add it")


def _listens(overlay: Overlay, container: Container) -> Iterator[tuple[str, int]]:
    words = _words(container)
    if role(container) in ("worker", "lander"):
        watch = environment(overlay, container).get("REELPAGE_WATCH") or ""
        if number := re.search(r":(\d+)$", watch):
            yield f"REELPAGE_WATCH={watch}", int(number[1])
    if role(container) == "lander" and "--port" in words[:-1]:
        given = words[words.index("--port") + 1]
        yield f"--port {given}", int(given)


def answered(overlay: Overlay) -> Iterator[Problem]:
    """Probes that ask what no process of ours answers."""
    for container in overlay.containers:
        for name in ("startupProbe", "livenessProbe", "readinessProbe"):
            asked = (container.body.get(name) or {}).get("httpGet") or {}
            if role(container) not in ("", "graph") and asked:
                yield from _path(container, name, asked.get("path", "/"))
    for one in overlay.kind("PodMonitor", "ServiceMonitor"):
        for end in one.dig("spec.podMetricsEndpoints", []) + one.dig("spec.endpoints", []):
            if end.get("path", "/metrics") != "/metrics":
                yield one.problem("spec", f"{end['path']}: metrics are at /metrics")


def _path(container: Container, name: str, path: str) -> Iterator[Problem]:
    if path not in _ANSWERED:
        what = f"nothing answers {path}; give {' or '.join(_ANSWERED)}"
        yield container.problem(f"{name}.httpGet.path", what)

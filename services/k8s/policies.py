"""Policies: what one pod asks of another is let out there and let in here."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from services.k8s.commands import role
from services.k8s.documents import Document, Overlay, Pod, Problem
from services.k8s.selectors import selects

_WAYS: Final = {"Egress": ("egress", "to"), "Ingress": ("ingress", "from")}
_STRANGER: Final = Pod(Document({}), "", {})
_ASKING: Final = {("graph", "serve"): ("worker", "graph"), ("lander", "http"): ("worker",)}
"""Who may ask a process on a port of a name. Ray's others are for the graph itself."""


def stopped(overlay: Overlay, asking: Pod, asked: Pod, port: int) -> str:
    """Where a connection is stopped, "egress" or "ingress"; empty if it is not."""
    if not _admitted(overlay, asking, "Egress", asked, port, _names(asked)):
        return "egress"
    return "" if _admitted(overlay, asked, "Ingress", asking, port, _names(asked)) else "ingress"


def _names(pod: Pod) -> dict[str | int, int]:
    """Ports of a pod by their names."""
    return {name: number for one in pod.containers for name, number in one.ports.items()}


def _admitted(
    overlay: Overlay, one: Pod, kind: str, other: Pod, port: int, names: Mapping[str | int, int]
) -> bool:
    """Whether policies of one pod let a connection with another through."""
    policies, (way, peers) = _policies(overlay, one, kind), _WAYS[kind]
    return not policies or any(
        _opens(rule, port, names) and _lets(rule, peers, other)
        for policy in policies
        for rule in policy.get(way) or []
    )


def stopped_outside(overlay: Overlay, asking: Pod, port: int) -> bool:
    """Whether no policy lets a pod ask a port of anybody outside."""
    policies = _policies(overlay, asking, "Egress")
    rules = [rule for policy in policies for rule in policy.get("egress") or []]
    return bool(policies) and not any(
        _opens(rule, port, {})
        and (
            "to" not in rule or any("ipBlock" in p or "namespaceSelector" in p for p in rule["to"])
        )
        for rule in rules
    )


def _policies(overlay: Overlay, pod: Pod, kind: str) -> list[Mapping[str, Any]]:
    """What is said of a pod's connections of one kind."""
    return [
        policy.dig("spec")
        for policy in overlay.kind("NetworkPolicy")
        if kind in _types(policy) and selects(policy.dig("spec.podSelector") or {}, pod.labels)
    ]


def _types(policy: Document) -> list[str]:
    said: list[str] = policy.dig("spec.policyTypes") or []
    return said or ["Ingress", *(["Egress"] if policy.dig("spec.egress") else [])]


def _opens(rule: Mapping[str, Any], port: int, names: Mapping[str | int, int]) -> bool:
    """Whether a rule is about a port by TCP; `names` are those of who is asked."""
    ports = rule.get("ports")
    return not ports or any(
        _has(one, port, names) for one in ports if one.get("protocol", "TCP") == "TCP"
    )


def _has(one: Mapping[str, Any], port: int, names: Mapping[str | int, int]) -> bool:
    if (first := one.get("port")) is None:
        return True
    if isinstance(first, str):
        return names.get(first) == port
    return bool(first <= port <= one.get("endPort", first))


def _lets(rule: Mapping[str, Any], peers: str, other: Pod) -> bool:
    """Whether a rule lets a pod of the same namespace through."""
    return peers not in rule or any(
        "ipBlock" not in peer and selects(peer.get("podSelector") or {}, other.labels)
        for peer in rule[peers]
    )


def deny_first(overlay: Overlay) -> Iterator[Problem]:
    """Pods that may be asked, or may ask, whatever they like."""
    for pod in overlay.pods:
        for kind in _WAYS:
            if not _policies(overlay, pod, kind):
                what = f"no NetworkPolicy of type {kind} selects the pod: all is allowed"
                yield pod.problem("metadata.labels", what)


def closed(overlay: Overlay) -> Iterator[Problem]:
    """Ports of the graph and the lander that somebody may ask who has no need to."""
    for asked in overlay.pods:
        for container in asked.containers:
            name = role(container)
            for port in container.body.get("ports") or [] if name in ("graph", "lander") else []:
                for who in _uninvited(overlay, asked, name, port):
                    what = f"{port.get('name')} {port['containerPort']} may be asked by {who}"
                    yield container.problem("ports", f"{what}: name in a NetworkPolicy who may")


def _uninvited(overlay: Overlay, asked: Pod, name: str, port: Mapping[str, Any]) -> Iterator[str]:
    """Who is let through to a port without need."""
    invited = _ASKING.get((name, port.get("name", "")), ("graph",))
    for pod in (_STRANGER, *overlay.pods):
        roles = {role(one) for one in pod.containers}
        number = port["containerPort"]
        if not roles & set(invited) and _admitted(
            overlay, asked, "Ingress", pod, number, _names(asked)
        ):
            yield f"{pod.document.kind}/{pod.document.name}".strip("/") or "any pod"

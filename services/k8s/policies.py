"""Policies: what one pod asks of another is let out there and let in here."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from services.k8s.documents import Overlay, Pod, Problem
from services.k8s.selectors import selects

_WAYS: Final = (("egress", "to", "Egress"), ("ingress", "from", "Ingress"))


def stopped(overlay: Overlay, asking: Pod, asked: Pod, port: int) -> str:
    """Where a connection is stopped, "egress" or "ingress"; empty if it is not."""
    for (way, peers, kind), one, other in zip(_WAYS, (asking, asked), (asked, asking), strict=True):
        if (policies := _policies(overlay, one, kind)) and not any(
            _opens(rule, port) and _lets(rule, peers, other)
            for policy in policies
            for rule in policy.get(way) or []
        ):
            return way
    return ""


def stopped_outside(overlay: Overlay, asking: Pod, port: int) -> bool:
    """Whether no policy lets a pod ask a port of anybody outside."""
    policies = _policies(overlay, asking, "Egress")
    rules = [rule for policy in policies for rule in policy.get("egress") or []]
    return bool(policies) and not any(
        _opens(rule, port)
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
        if kind in policy.dig("spec.policyTypes", ["Ingress"])
        and selects(policy.dig("spec.podSelector") or {}, pod.labels)
    ]


def _opens(rule: Mapping[str, Any], port: int) -> bool:
    ports = rule.get("ports")
    return not ports or any(one["port"] <= port <= one.get("endPort", one["port"]) for one in ports)


def _lets(rule: Mapping[str, Any], peers: str, other: Pod) -> bool:
    """Whether a rule lets a pod of the same namespace through."""
    return peers not in rule or any(
        "ipBlock" not in peer and selects(peer.get("podSelector") or {}, other.labels)
        for peer in rule[peers]
    )


def deny_first(overlay: Overlay) -> Iterator[Problem]:
    """Pods that may be asked, or may ask, whatever they like."""
    for pod in overlay.pods:
        for _, _, kind in _WAYS:
            if not _policies(overlay, pod, kind):
                what = f"no NetworkPolicy of type {kind} selects the pod: all is allowed"
                yield pod.problem("metadata.labels", what)

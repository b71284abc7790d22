"""Selectors: whoever selects by labels finds somebody, and ports that are named are there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.k8s.documents import Container, Document, Overlay, Pod, Problem


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector finds labels; an empty one finds all."""
    if any(labels.get(name) != one for name, one in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_holds(one, labels) for one in selector.get("matchExpressions") or [])


def selected(overlay: Overlay, selector: Mapping[str, Any]) -> list[Pod]:
    """Pods that a label selector finds."""
    return [pod for pod in overlay.pods if selects(selector, pod.labels)]


def _says(selector: Mapping[str, Any] | None) -> bool:
    """Whether a selector says anything; else it finds all there is."""
    return any((selector or {}).values())


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    found, values = labels.get(expression["key"]), expression.get("values") or []
    match expression["operator"]:
        case "In":
            return found in values
        case "NotIn":
            return found not in values
        case "Exists":
            return found is not None
        case _:
            return found is None


@dataclass(frozen=True)
class Service:
    """A Service, written or made by KubeRay: its ports are those of pods behind it."""

    name: str
    pods: tuple[Pod, ...]
    ports: Mapping[int, int]


def services(overlay: Overlay) -> dict[str, Service]:
    """All Services of an overlay, by name; each port with the number behind it."""
    found = {}
    for one in overlay.kind("Service"):
        pods = _behind(overlay, one)
        ports = {
            port["port"]: _target(port, pods) or port["port"]
            for port in one.dig("spec.ports") or []
        }
        found[one.name] = Service(one.name, tuple(pods), ports)
    for one in overlay.kind("RayService"):
        pods = [pod for pod in overlay.pods if pod.document is one]
        for name, behind in (("serve", pods), ("head", pods[:1])):
            numbers = {number for pod in behind for number in pod.main.ports.values()}
            service = f"{one.name}-{name}-svc"
            found[service] = Service(service, tuple(behind), {n: n for n in numbers})
    return found


def _behind(overlay: Overlay, service: Document) -> list[Pod]:
    if not (labels := service.dig("spec.selector")):
        return []  # of what is outside
    return selected(overlay, {"matchLabels": labels})


def _target(port: Mapping[str, Any], pods: list[Pod]) -> int | None:
    """The number of a container's port behind a Service's; None if no pod has it."""
    wanted = port.get("targetPort", port["port"])
    found = [container.ports.get(wanted) for pod in pods for container in pod.containers]
    return next((number for number in found if number), None)


def service_targets(overlay: Overlay) -> Iterator[Problem]:
    """Services without pods, and ports of theirs that no pod has."""
    for one in overlay.kind("Service"):
        pods = _behind(overlay, one)
        if not pods and one.dig("spec.selector"):
            yield one.problem("spec.selector", "no pod has these labels")
        for port in one.dig("spec.ports") or [] if pods else []:
            if _target(port, pods) is None:
                wanted = port.get("targetPort", port["port"])
                yield one.problem("spec.ports", f"no pod behind it has a port {wanted!r}")


def probes(overlay: Overlay) -> Iterator[Problem]:
    """Probes of ports that the container does not have."""
    for container in overlay.containers:
        for name in ("startupProbe", "livenessProbe", "readinessProbe"):
            probe = container.body.get(name) or {}
            asked = probe.get("httpGet") or probe.get("tcpSocket")
            if asked and asked["port"] not in container.ports:
                yield container.problem(name, _no_port(container, asked["port"]))


def _no_port(container: Container, wanted: object) -> str:
    names = ", ".join(map(str, container.ports)) or "none"
    return f"the container has no port {wanted!r}; it has {names}"


def own_pods(overlay: Overlay) -> Iterator[Problem]:
    """Workloads whose selector does not find the pods that they make."""
    for pod in overlay.pods:
        if pod.document.kind not in ("Deployment", "StatefulSet"):
            continue
        selector = pod.document.dig("spec.selector")
        if not _says(selector) or not selects(selector, pod.labels):
            yield pod.document.problem("spec.selector", "its own pods have other labels")


def pod_selectors(overlay: Overlay) -> Iterator[Problem]:
    """Budgets, policies and monitors that find no pod, or of it no such port."""
    for one in overlay.kind("PodDisruptionBudget", "NetworkPolicy", "PodMonitor"):
        path = "spec.podSelector" if one.kind == "NetworkPolicy" else "spec.selector"
        found = selected(overlay, one.dig(path) or {})
        if not found:
            yield one.problem(path, "no pod has these labels")
        if one.kind != "NetworkPolicy" and not _says(one.dig(path)):
            yield one.problem(path, "selects all pods there are; name labels")
        ports = {name for pod in found for one in pod.containers for name in one.ports}
        for end in one.dig("spec.podMetricsEndpoints") or []:
            if found and end["port"] not in ports:
                yield one.problem("spec.podMetricsEndpoints", f"no pod has a port {end['port']!r}")


def budgets(overlay: Overlay) -> Iterator[Problem]:
    """Budgets that Kubernetes cannot count, and so lets nobody go: a Ray cluster has no scale.

    See "Arbitrary workloads and arbitrary selectors" of the Kubernetes documentation.
    """
    what = "is not counted for pods of a Ray cluster; give minAvailable, a number"
    for one in overlay.kind("PodDisruptionBudget"):
        found = selected(overlay, one.dig("spec.selector"))
        if not any(pod.document.kind == "RayService" for pod in found):
            continue
        if one.dig("spec.maxUnavailable") is not None:
            yield one.problem("spec.maxUnavailable", what)
        elif not isinstance(one.dig("spec.minAvailable"), int):
            yield one.problem("spec.minAvailable", what)


def service_monitors(overlay: Overlay) -> Iterator[Problem]:
    """Monitors that find no Service, or of it no such port."""
    for one in overlay.kind("ServiceMonitor"):
        selector = one.dig("spec.selector")
        found = [each for each in overlay.kind("Service") if selects(selector, each.labels)]
        if not found or not _says(selector):
            yield one.problem("spec.selector", "no Service has these labels")
        names = {port.get("name") for each in found for port in each.dig("spec.ports") or []}
        for end in one.dig("spec.endpoints"):
            if found and end["port"] not in names:
                yield one.problem("spec.endpoints", f"no Service has a port {end['port']!r}")

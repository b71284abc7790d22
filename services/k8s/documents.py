"""Documents: what an overlay renders to, and the pods that it would make."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Json = Any
"""A value of YAML: whoever reads it knows what is there, once its structure has been checked."""


@dataclass(frozen=True)
class Problem:
    """Something that is wrong.

    Attributes:
        where: kind and name of the document.
        path: of the field in it.
        what: is wrong, with the remedy.
    """

    where: str
    path: str
    what: str


@dataclass(frozen=True)
class Document:
    """One rendered document."""

    body: Mapping[str, Json]

    @property
    def kind(self) -> str:
        """Its kind."""
        return str(self.body.get("kind", ""))

    @property
    def group(self) -> str:
        """The API group of its kind; empty for the core's."""
        return str(self.body.get("apiVersion", "")).rpartition("/")[0]

    @property
    def name(self) -> str:
        """Its name."""
        return str(dig(self.body, "metadata.name", ""))

    @property
    def labels(self) -> Mapping[str, str]:
        """Its own labels, not those of pods that it makes."""
        return dig(self.body, "metadata.labels", {}) or {}

    @property
    def annotations(self) -> Mapping[str, str]:
        """Its own annotations."""
        return dig(self.body, "metadata.annotations", {}) or {}

    def dig(self, path: str, default: Json = None) -> Json:
        """See `dig`."""
        return dig(self.body, path, default)

    def problem(self, path: str, what: str) -> Problem:
        """A problem in it."""
        return Problem(f"{self.kind}/{self.name}", path, what)


@dataclass(frozen=True)
class Pod:
    """Pods that a document makes of one template.

    Attributes:
        document: that makes them.
        path: of their template in it.
        template: of each.
        group: of a Ray cluster's groups, and "head"; else empty.
    """

    document: Document
    path: str
    template: Mapping[str, Json]
    group: str = ""

    @property
    def labels(self) -> Mapping[str, str]:
        """Of each."""
        return dig(self.template, "metadata.labels", {}) or {}

    @property
    def spec(self) -> Mapping[str, Json]:
        """Of each."""
        return self.template.get("spec") or {}

    @property
    def main(self) -> "Container":
        """The first container: Ray's, where it is a pod of a Ray cluster."""
        return next(iter(self.containers))

    @property
    def containers(self) -> Iterator["Container"]:
        """All, those for the start too."""
        for kind in ("containers", "initContainers"):
            for index, body in enumerate(self.spec.get(kind) or []):
                yield Container(self, f"{self.path}.spec.{kind}[{index}]", body)

    def problem(self, path: str, what: str) -> Problem:
        """A problem in it; the path is below the template."""
        return self.document.problem(f"{self.path}.{path}", what)


@dataclass(frozen=True)
class Container:
    """A container of a pod."""

    pod: Pod
    path: str
    body: Mapping[str, Json]

    @property
    def ports(self) -> dict[str | int, int]:
        """Numbers of its ports, by number and by name."""
        found: dict[str | int, int] = {}
        for port in self.body.get("ports") or []:
            found[port["containerPort"]] = port["containerPort"]
            if name := port.get("name"):
                found[name] = port["containerPort"]
        return found

    def problem(self, path: str, what: str) -> Problem:
        """A problem in it; the path is below the container."""
        return self.pod.document.problem(f"{self.path}.{path}", what)


@dataclass(frozen=True)
class Overlay:
    """All documents that are applied together."""

    documents: list[Document]
    pods: list[Pod] = field(default_factory=list)

    @classmethod
    def of(cls, documents: list[Document]) -> "Overlay":
        """With the pods that the documents make."""
        return cls(documents, [pod for one in documents for pod in _pods(one)])

    @property
    def containers(self) -> Iterator[Container]:
        """Of all pods."""
        return (container for pod in self.pods for container in pod.containers)

    def kind(self, *kinds: str) -> list[Document]:
        """Those of some kinds."""
        return [one for one in self.documents if one.kind in kinds]

    def find(self, kind: str, name: str) -> Document | None:
        """The one of a kind and name."""
        return next((one for one in self.kind(kind) if one.name == name), None)


Check = Callable[[Overlay], Iterator[Problem]]
"""Compares what documents say of each other, of the code and of the settings."""

_TEMPLATES: Final[Mapping[str, str]] = {
    "Deployment": "spec.template",
    "StatefulSet": "spec.template",
    "DaemonSet": "spec.template",
    "Job": "spec.template",
    "CronJob": "spec.jobTemplate.spec.template",
    "ScaledJob": "spec.jobTargetRef.template",
}
CLUSTERS: Final[Mapping[str, str]] = {
    "RayService": "spec.rayClusterConfig",
    "RayCluster": "spec",
    "RayJob": "spec.rayClusterSpec",
}
"""Where each kind describes a Ray cluster."""


def _pods(document: Document) -> Iterator[Pod]:
    if path := _TEMPLATES.get(document.kind):
        yield Pod(document, path, document.dig(path) or {})
    if place := CLUSTERS.get(document.kind):
        head = f"{place}.headGroupSpec.template"
        yield Pod(document, head, document.dig(head) or {}, "head")
        for index, group in enumerate(document.dig(f"{place}.workerGroupSpecs") or []):
            path = f"{place}.workerGroupSpecs[{index}].template"
            yield Pod(document, path, group.get("template") or {}, str(group["groupName"]))


def dig(body: Json, path: str, default: Json = None) -> Json:
    """What lies below a path of mappings."""
    for key in path.split("."):
        if not isinstance(body, Mapping) or key not in body:
            return default
        body = body[key]
    return body

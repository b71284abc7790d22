"""References: what documents name of each other is there.

What is made by hand, such as a Secret, stands in an annotation of any document,
`reelpage/expects: Secret/NAME ...`.
"""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, Final

from services.k8s.documents import CLUSTERS, Container, Document, Overlay, Pod, Problem

EXPECTS: Final = "reelpage/expects"
Reference = tuple[str, str, str]
"""Path, kind and name."""


def references(overlay: Overlay) -> Iterator[Problem]:
    """Names of objects that are not there."""
    there = {f"{one.kind}/{one.name}" for one in overlay.documents} | expected(overlay)
    for document in overlay.documents:
        for path, kind, name in _named(overlay, document):
            if f"{kind}/{name}" not in there:
                yield document.problem(path, _missing(kind, name, there))


def expected(overlay: Overlay) -> set[str]:
    """What is there though no document says so, as kind and name."""
    return {word for one in overlay.documents for word in one.annotations.get(EXPECTS, "").split()}


def _missing(kind: str, name: str, there: set[str]) -> str:
    names = [one.partition("/")[2] for one in there if one.startswith(f"{kind}/")]
    near = get_close_matches(name, names, 1, 0.6)
    remedy = f"did you mean {near[0]}?" if near else f"add it, or to the annotation {EXPECTS}"
    return f"there is no {kind} {name!r}; {remedy}"


def _named(overlay: Overlay, document: Document) -> Iterator[Reference]:
    for pod in overlay.pods:
        if pod.document is document:
            yield from _of_pod(pod)
    if document.kind == "ScaledObject":
        kind = document.dig("spec.scaleTargetRef.kind", "Deployment")
        yield "spec.scaleTargetRef.name", kind, document.dig("spec.scaleTargetRef.name")
    if document.kind in ("ScaledObject", "ScaledJob"):
        for index, trigger in enumerate(document.dig("spec.triggers")):
            if name := trigger.get("authenticationRef", {}).get("name"):
                yield f"spec.triggers[{index}].authenticationRef", "TriggerAuthentication", name
    if document.kind == "TriggerAuthentication":
        for index, one in enumerate(document.dig("spec.secretTargetRef")):
            yield f"spec.secretTargetRef[{index}].name", "Secret", one["name"]
    yield from _of_cluster(document)
    yield from _of_queue(document)


def _of_cluster(document: Document) -> Iterator[Reference]:
    """The password of Redis."""
    if place := CLUSTERS.get(document.kind):
        path = f"{place}.gcsFaultToleranceOptions.redisPassword.valueFrom.secretKeyRef.name"
        if name := document.dig(path):
            yield path, "Secret", name


def _of_queue(document: Document) -> Iterator[Reference]:
    if name := document.labels.get("kueue.x-k8s.io/queue-name"):
        yield "metadata.labels", "LocalQueue", name
    if document.kind == "LocalQueue":
        yield "spec.clusterQueue", "ClusterQueue", document.dig("spec.clusterQueue")
    if document.kind == "ClusterQueue":
        for group in document.dig("spec.resourceGroups"):
            for flavor in group["flavors"]:
                yield "spec.resourceGroups", "ResourceFlavor", flavor["name"]


def _of_pod(pod: Pod) -> Iterator[Reference]:
    if account := pod.spec.get("serviceAccountName"):
        yield f"{pod.path}.spec.serviceAccountName", "ServiceAccount", account
    for index, volume in enumerate(pod.spec.get("volumes") or []):
        path = f"{pod.path}.spec.volumes[{index}]"
        yield from _of_volume(path, volume)
    for container in pod.containers:
        yield from _of_container(container)


def _of_volume(path: str, volume: dict[str, Any]) -> Iterator[Reference]:
    if claim := volume.get("persistentVolumeClaim"):
        yield path, "PersistentVolumeClaim", claim["claimName"]
    if (secret := volume.get("secret")) and not secret.get("optional"):
        yield path, "Secret", secret.get("secretName", "")
    if (given := volume.get("configMap")) and not given.get("optional"):
        yield path, "ConfigMap", given.get("name", "")


def _of_container(container: Container) -> Iterator[Reference]:
    for index, source in enumerate(container.body.get("envFrom") or []):
        for kind, key in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
            if (found := source.get(key)) and not found.get("optional"):
                yield f"{container.path}.envFrom[{index}]", kind, found.get("name", "")
    for one in container.body.get("env") or []:
        for kind, key in (("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")):
            if (found := one.get("valueFrom", {}).get(key)) and not found.get("optional"):
                yield f"{container.path}.env.{one['name']}", kind, found.get("name", "")


def volumes(overlay: Overlay) -> Iterator[Problem]:
    """Mounts of volumes that the pod does not have."""
    for pod in overlay.pods:
        names = {volume["name"] for volume in pod.spec.get("volumes") or []}
        claims = pod.document.dig("spec.volumeClaimTemplates") or []
        names |= {claim["metadata"]["name"] for claim in claims}
        for container in pod.containers:
            for mount in container.body.get("volumeMounts") or []:
                if mount["name"] not in names:
                    what = f"the pod has no volume {mount['name']!r}; it has {_list(names)}"
                    yield container.problem("volumeMounts", what)


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"

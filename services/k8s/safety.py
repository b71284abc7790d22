"""Safety: what every pod is forbidden, has to say of itself and may not lean on."""

from collections.abc import Iterator
from typing import Final

from services.ingest.worker import DRAIN_S
from services.k8s.commands import role
from services.k8s.documents import Container, Overlay, Pod, Problem, dig
from services.k8s.environment import environment

_OF_PODS: Final = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
_OF_CONTAINERS: Final = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
_HOST: Final = ("hostNetwork", "hostPID", "hostIPC")
_GRACE_S: Final = 30  # what Kubernetes gives where nothing is said


def security(overlay: Overlay) -> Iterator[Problem]:
    """Pods that may do more than they need."""
    for pod in overlay.pods:
        yield from _pod(pod)
        for container in pod.containers:
            yield from _container(container)


def _pod(pod: Pod) -> Iterator[Problem]:
    context = pod.spec.get("securityContext") or {}
    for name, wanted in _OF_PODS.items():
        if context.get(name) != wanted:
            yield pod.problem(f"spec.securityContext.{name}", f"has to be {wanted}")
    for name in _HOST:
        if pod.spec.get(name):
            yield pod.problem(f"spec.{name}", "no pod has a part of its host")
    for volume in pod.spec.get("volumes") or []:
        if "hostPath" in volume:
            yield pod.problem("spec.volumes", f"{volume['name']} is a folder of the host")
    if pod.spec.get("automountServiceAccountToken") is not False and pod.group != "head":
        what = "has to be false: no process of ours asks the cluster for anything"
        yield pod.problem("spec.automountServiceAccountToken", what)


def _container(container: Container) -> Iterator[Problem]:
    context = container.body.get("securityContext") or {}
    for name, wanted in _OF_CONTAINERS.items():
        if context.get(name) != wanted:
            yield container.problem(f"securityContext.{name}", f"has to be {wanted}")


def service_links(overlay: Overlay) -> Iterator[Problem]:
    """Pods that get a variable for each Service: `REELPAGE_HEAD_SVC_PORT` is no setting."""
    for pod in overlay.pods:
        if pod.spec.get("enableServiceLinks") is not False:
            what = "has to be false: Services become variables, which are no settings of ours"
            yield pod.problem("spec.enableServiceLinks", what)


def images(overlay: Overlay) -> Iterator[Problem]:
    """Images that are not the same tomorrow."""
    for container in overlay.containers:
        image = str(container.body.get("image", ""))
        tag = image.rpartition("/")[2].partition(":")[2]
        if "@sha256:" not in image and tag in ("", "latest"):
            yield container.problem("image", f"{image!r} has no tag that stays; name one")


def requests(overlay: Overlay) -> Iterator[Problem]:
    """Containers that do not say what they need, or may take a node's memory."""
    for container in overlay.containers:
        for name in ("requests.cpu", "requests.memory", "limits.memory"):
            if dig(container.body, f"resources.{name}") is None:
                yield container.problem(f"resources.{name}", "is missing")


def grace(overlay: Overlay) -> Iterator[Problem]:
    """Workers that are killed while they drain."""
    for pod in overlay.pods:
        given = pod.spec.get("terminationGracePeriodSeconds", _GRACE_S)
        works = any(role(one) == "worker" for one in pod.containers)
        if works and given <= DRAIN_S:
            what = f"{given} s, and a worker takes up to {DRAIN_S:g} s to drain; give more"
            yield pod.problem("spec.terminationGracePeriodSeconds", what)


def restarts(overlay: Overlay) -> Iterator[Problem]:
    """Jobs whose pods would be started again for ever; a cluster refuses them."""
    for pod in overlay.pods:
        ends = pod.document.kind in ("Job", "CronJob", "ScaledJob")
        if ends and pod.spec.get("restartPolicy") not in ("Never", "OnFailure"):
            yield pod.problem("spec.restartPolicy", "has to be Never or OnFailure for a Job")


def scratch(overlay: Overlay) -> Iterator[Problem]:
    """Processes of ours that have nowhere to write: their root is read-only."""
    for container in overlay.containers:
        mounts = {one["mountPath"] for one in container.body.get("volumeMounts") or []}
        for place in ("/tmp", "/dev/shm") if role(container) == "graph" else ("/tmp",):
            if role(container) and place not in mounts:
                yield container.problem("volumeMounts", f"nothing is mounted at {place}")


def lake(overlay: Overlay) -> Iterator[Problem]:
    """Lakes that end with a pod: in a folder of one, or in a store whose data do."""
    for container in overlay.containers:
        place = environment(overlay, container).get("REELPAGE_LAKE") or ""
        if place and not place.startswith("s3://") and not _lasts(container, place):
            what = f"REELPAGE_LAKE={place} ends with the pod; use s3:// or a claim"
            yield container.problem("env", what)


def _lasts(container: Container, place: str) -> bool:
    """Whether a folder of a container is on a claim."""
    pod = container.pod
    claims = pod.document.dig("spec.volumeClaimTemplates") or []
    names = {one["metadata"]["name"] for one in claims} | {
        volume["name"]
        for volume in pod.spec.get("volumes") or []
        if "persistentVolumeClaim" in volume
    }
    return any(
        mount["name"] in names and f"{place}/".startswith(f"{mount['mountPath'].rstrip('/')}/")
        for mount in container.body.get("volumeMounts") or []
    )


def stores(overlay: Overlay) -> Iterator[Problem]:
    """Servers with a Service of their own whose data end with the pod."""
    for one in overlay.kind("StatefulSet"):
        if not one.dig("spec.volumeClaimTemplates"):
            what = "is missing: what it stores would end with the pod"
            yield one.problem("spec.volumeClaimTemplates", what)

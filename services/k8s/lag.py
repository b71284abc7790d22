"""Lag: triggers of KEDA ask about the topic and the group of the workers that they scale."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.k8s.commands import role
from services.k8s.documents import Container, Document, Overlay, Pod, Problem
from services.k8s.environment import environment
from services.settings import Settings
from services.topic.broker import OFFSET_RESET, PARTITIONS

_ASKED: Final = (
    ("topic", "REELPAGE_TOPIC", Settings.topic),
    ("consumerGroup", "REELPAGE_GROUP", Settings.group),
    ("bootstrapServers", "REELPAGE_KAFKA", Settings.kafka),
)
"""What a trigger says, the setting of a worker that says the same, and its default."""


@dataclass(frozen=True)
class _Trigger:
    """A trigger and a container that it scales."""

    document: Document
    path: str
    metadata: Mapping[str, str]
    worker: Container
    variables: Mapping[str, str | None]


def _triggers(overlay: Overlay) -> Iterator[_Trigger]:
    for document in overlay.kind("ScaledObject", "ScaledJob"):
        for pod in overlay.pods:
            if not _scales(document, pod):
                continue
            for worker in pod.containers:
                for index, one in enumerate(document.dig("spec.triggers")):
                    found = environment(overlay, worker)
                    path = f"spec.triggers[{index}].metadata"
                    yield _Trigger(document, path, one["metadata"], worker, found)


def _scales(document: Document, pod: Pod) -> bool:
    if document.kind == "ScaledJob":
        return pod.document is document
    target: Mapping[str, Any] = document.dig("spec.scaleTargetRef")
    wanted = (target.get("kind", "Deployment"), target["name"])
    return wanted == (pod.document.kind, pod.document.name)


def lag(overlay: Overlay) -> Iterator[Problem]:
    """Triggers that count what their workers do not read."""
    for one in _triggers(overlay):
        if role(one.worker) != "worker":
            what = f"{one.worker.pod.document.name} runs {role(one.worker) or 'no command of ours'}"
            yield one.document.problem(one.path, f"{what}; workers alone have a lag")
            continue
        for name, setting, default in _ASKED:
            yield from _compare(one, name, setting, default)
        if (policy := one.metadata["offsetResetPolicy"]) != OFFSET_RESET:
            what = f"{policy}, and workers begin at {OFFSET_RESET}: new topics would seem empty"
            yield one.document.problem(f"{one.path}.offsetResetPolicy", what)


def _compare(one: _Trigger, name: str, setting: str, default: str) -> Iterator[Problem]:
    wanted = one.variables.get(setting, default)
    path = f"{one.path}.{name}"
    if variable := one.metadata.get(f"{name}FromEnv"):
        if variable not in one.variables:
            yield one.document.problem(f"{path}FromEnv", f"workers have no variable {variable}")
        given = one.variables.get(variable, wanted)
    elif name in one.metadata:
        given = one.metadata[name]
    else:
        yield one.document.problem(path, f"is missing; workers have {setting}={wanted}")
        return
    if given != wanted:
        yield one.document.problem(path, f"{given!r}, and workers have {setting}={wanted}")


def partitions(overlay: Overlay) -> Iterator[Problem]:
    """Scales that start more workers than the topic has partitions."""
    topics = {
        one.dig("spec.topicName", one.name): one.dig("spec.partitions")
        for one in overlay.kind("KafkaTopic")
    }
    for one in _triggers(overlay):
        topic = one.variables.get("REELPAGE_TOPIC") or Settings.topic
        count, most = topics.get(topic, PARTITIONS), one.document.dig("spec.maxReplicaCount")
        if most > count:
            what = f"{most} workers for {count} partitions of {topic!r}: the others would idle"
            yield one.document.problem("spec.maxReplicaCount", what)


def replicas(overlay: Overlay) -> Iterator[Problem]:
    """Deployments that say how many they are, while KEDA does: each apply would undo it."""
    for one in overlay.kind("ScaledObject"):
        target = overlay.find("Deployment", one.dig("spec.scaleTargetRef.name"))
        if target is not None and target.dig("spec.replicas") is not None:
            yield target.problem("spec.replicas", f"ScaledObject {one.name} says it; leave it out")

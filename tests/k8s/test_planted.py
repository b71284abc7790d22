"""Planted errors: each is found, with the words that lead to it."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from services.cli.kubernetes import refusal
from services.k8s.check import CHECKS, check
from services.k8s.documents import Document
from tests.k8s.conftest import Rendered

GONE = object()
Value = object | Callable[[Any], Any]
Way = tuple[str | int, ...]
POD = "spec.template.spec"
FIRST = f"{POD}.containers.0"
CLUSTER = "spec.rayClusterConfig"
GROUP = f"{CLUSTER}.workerGroupSpecs"
LAG = "spec.triggers.0.metadata"


def planted(documents: list[Document], where: str, path: str, value: Value) -> list[Document]:
    """The documents with a value at a path of one of them, or with its text changed."""
    kind, name = where.split("/")
    document = next(one for one in documents if one.kind == kind and one.name.startswith(name))
    if path == "":
        return [one for one in documents if one is not document]
    *way, last = (int(key) if key.isdigit() else key for key in path.split("."))
    place: Any = document.body
    for key in way:
        place = place[key]
    if value is GONE:
        del place[last]
    else:
        place[last] = value(place[last]) if callable(value) else value
    return documents


def put(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return change


def with_field(name: str, value: object) -> Callable[[Any], Any]:
    return lambda mapping: {**mapping, name: value}


STRUCTURE = [
    # kinds of Kubernetes
    (
        "gpu",
        "Deployment/ingest",
        "spec.replica",
        2,
        "spec.replica: no such field; did you mean rep",
    ),
    ("gpu", "Deployment/ingest", f"{FIRST}.livenes", {}, "did you mean livenessProbe?"),
    ("gpu", "Deployment/ingest", "spec.replicas", "2", "spec.replicas: '2' is not of type"),
    ("gpu", "Service/lander", "spec.ports.0.port", "8200", "spec.ports[0].port: '8200'"),
    ("gpu", "Deployment/ingest", "apiVersion", "apps/v2", "apps/v2 Deployment: no such kind"),
    ("gpu", "Deployment/ingest", "kind", "Deploymnt", "no such kind is known; check its spelling"),
    ("gpu", "NetworkPolicy/dns", "spec", GONE, "spec: is missing"),
    ("gpu", "Deployment/ingest", "metadata.name", GONE, "metadata.name: is missing"),
    # KubeRay
    ("gpu", "RayService/reelpage", "apiVersion", "ray.io/v1alpha1", "use apiVersion ray.io/v1"),
    ("gpu", "RayService/reelpage", "spec.serveConfigv2", "x", "did you mean serveConfigV2?"),
    ("gpu", "RayService/reelpage", "specs", {}, "specs: no such field"),
    ("gpu", "RayService/reelpage", f"{GROUP}.0.minReplica", 0, "did you mean minReplicas?"),
    ("gpu", "RayService/reelpage", f"{GROUP}.0.maxReplicas", "8", "'8' is no whole number"),
    ("gpu", "RayService/reelpage", f"{GROUP}.0.maxReplicas", GONE, "maxReplicas: is missing"),
    ("gpu", "RayService/reelpage", f"{GROUP}.0.resources.encoder", 1, '1 is no text; write "1"'),
    ("gpu", "RayService/reelpage", f"{CLUSTER}.autoscalerOptions.version", "v1", "give v2"),
    (
        "gpu",
        "RayService/reelpage",
        f"{CLUSTER}.headGroupSpec.rayStartParams.num-cpus",
        0,
        "no text",
    ),
    (
        *("gpu", "RayService/reelpage", f"{GROUP}.0.template.spec.tolerationz", []),
        "template.spec.tolerationz: no such field; did you mean tolerations?",
    ),
    (
        *("gpu", "RayService/reelpage", f"{GROUP}.0.template.spec", {}),
        "workerGroupSpecs[0].template.spec.containers: is missing",
    ),
    ("gpu", "RayService/reelpage", "metadata.lables", {}, "metadata.lables: no such field"),
    # KEDA, Strimzi, the Prometheus operator, Kueue
    ("keda", "ScaledObject/ingest", f"{LAG}.lagThreshold", 10, '10 is no text; write "10"'),
    ("keda", "ScaledObject/ingest", f"{LAG}.lagThreshold", "ten", "give a whole number, as text"),
    ("keda", "ScaledObject/ingest", f"{LAG}.lagTreshold", "9", "did you mean lagThreshold?"),
    ("keda", "ScaledObject/ingest", "spec.minReplicas", 0, "did you mean minReplicaCount?"),
    ("keda", "ScaledObject/ingest", "spec.triggers.0.type", "kafak", "give kafka"),
    ("keda", "ScaledObject/ingest", f"{LAG}.offsetResetPolicy", "first", "earliest or latest"),
    ("backfill", "ScaledJob/backfill", "spec.scalingStrategy.strategy", "accurate", "default or"),
    ("keda", "KafkaTopic/reelpage", "spec.partition", 9, "did you mean partitions?"),
    ("keda", "PodMonitor/ingest", "spec.podMetricsEndpoints.0.intervall", "1s", "mean interval?"),
    ("keda", "ServiceMonitor/lander", "spec.endpoints.0.interval", "often", "a time such as 15s"),
    ("kueue", "ClusterQueue/reelpage", "spec.resourceGroups.0.coverdResources", [], "coveredRes"),
    ("kueue", "LocalQueue/reelpage", "spec.clusterQueue", GONE, "clusterQueue: is missing"),
]

CROSS = [
    # references
    ("references", "gpu", "ConfigMap/reelpage", "", GONE, "there is no ConfigMap 'reelpage-"),
    (
        *("references", "gpu", "Deployment/ingest", f"{FIRST}.envFrom.1.secretRef.name"),
        *("reelpag", "there is no Secret 'reelpag'; did you mean reelpage?"),
    ),
    ("references", "gpu", "ServiceAccount/ingest", "", GONE, "there is no ServiceAccount 'ingest'"),
    (
        "references",
        "gpu",
        "PersistentVolumeClaim/models",
        "",
        GONE,
        "PersistentVolumeClaim 'models'",
    ),
    (
        *("references", "keda", "ScaledObject/ingest", "spec.scaleTargetRef.name", "injest"),
        "there is no Deployment 'injest'; did you mean ingest?",
    ),
    ("references", "kueue", "LocalQueue/reelpage", "", GONE, "there is no LocalQueue 'reelpage'"),
    (
        *("references", "keda", "ScaledObject/ingest", "spec.triggers.0.authenticationRef"),
        *({"name": "kafka"}, "there is no TriggerAuthentication 'kafka'"),
    ),
    (
        *("references", "keda", "RayService/reelpage"),
        f"{CLUSTER}.gcsFaultToleranceOptions.redisPassword.valueFrom.secretKeyRef.name",
        *("redis-password", "there is no Secret 'redis-password'"),
    ),
    ("volumes", "gpu", "Deployment/ingest", f"{POD}.volumes", GONE, "has no volume 'tmp'"),
    # selectors and ports
    (
        *("own_pods", "gpu", "Deployment/ingest", f"{POD[:-5]}.metadata.labels"),
        *({}, "its own pods have other labels"),
    ),
    (
        *("service_targets", "gpu", "Service/lander", "spec.selector", {"app": "landr"}),
        "spec.selector: no pod has these labels",
    ),
    (
        *("service_targets", "gpu", "Service/lander", "spec.ports.0.targetPort", "htp"),
        "no pod behind it has a port 'htp'",
    ),
    (
        *("probes", "gpu", "Deployment/ingest", f"{FIRST}.livenessProbe.httpGet.port", 9500),
        "livenessProbe: the container has no port 9500; it has 9400, watch",
    ),
    (
        *("pod_selectors", "gpu", "PodDisruptionBudget/ingest", "spec.selector.matchLabels"),
        *({"app": "ingest"}, "no pod has these labels"),
    ),
    (
        *("pod_selectors", "gpu", "PodDisruptionBudget/ingest", "spec.selector"),
        *({}, "selects all pods there are; name labels"),
    ),
    (
        *("budgets", "gpu", "PodDisruptionBudget/graph", "spec.maxUnavailable", 1),
        "spec.maxUnavailable: is not counted for pods of a Ray cluster; give minAvailable",
    ),
    (
        *("budgets", "gpu", "PodDisruptionBudget/graph", "spec.minAvailable", "50%"),
        "spec.minAvailable: is not counted for pods of a Ray cluster; give minAvailable",
    ),
    (
        *("pod_selectors", "gpu", "NetworkPolicy/lander", "spec.podSelector.matchLabels"),
        *({"app": "lander"}, "no pod has these labels"),
    ),
    (
        *("pod_selectors", "gpu", "PodMonitor/graph", "spec.podMetricsEndpoints.0.port", "metric"),
        "no pod has a port 'metric'",
    ),
    (
        *("service_monitors", "gpu", "ServiceMonitor/lander", "spec.endpoints.0.port", "metrics"),
        "no Service has a port 'metrics'",
    ),
    (
        *("service_monitors", "gpu", "Service/lander", "metadata.labels"),
        *({}, "no Service has these labels"),
    ),
    # settings and commands
    (
        *("settings", "gpu", "ConfigMap/reelpage", "data", with_field("REELPAGE_TOPICS", "x")),
        "REELPAGE_TOPICS: no such setting; did you mean REELPAGE_TOPIC?",
    ),
    (
        *("settings", "gpu", "ConfigMap/reelpage", "data.REELPAGE_S3_STYLE", "virtuel"),
        "REELPAGE_S3_STYLE='virtuel': give path or virtual",
    ),
    ("settings", "local", "Secret/reelpage", "data.REELPAGE_SECRET", "aHVzaA==", "16 to 256 char"),
    (
        "commands",
        "gpu",
        "Deployment/ingest",
        f"{FIRST}.args",
        ["werker"],
        "no such command 'werker'",
    ),
    (
        *("commands", "gpu", "CronJob/vacuum"),
        "spec.jobTemplate.spec.template.spec.containers.0.args",
        *(["vacuum", "s3://lake", "--ours", "9"], "No such option: --ours"),
    ),
    (
        *("commands", "gpu", "CronJob/compact"),
        "spec.jobTemplate.spec.template.spec.containers.0.args",
        *(["compact", "$(REELPAGE_LAK)"], "$(REELPAGE_LAK): there is no such variable"),
    ),
    (
        *("needs", "gpu", "ConfigMap/reelpage", "data.REELPAGE_LAKE", GONE),
        "REELPAGE_LAKE is missing, which graph needs",
    ),
    (
        *("needs", "gpu", "ConfigMap/reelpage", "data.REELPAGE_GRAPH", ""),
        "REELPAGE_GRAPH is missing, which worker needs",
    ),
    ("needs", "gpu", "Deployment/lander", f"{FIRST}.envFrom.1", GONE, "envFrom: names no Secret"),
    (
        *("listening", "gpu", "Deployment/lander", f"{FIRST}.args.4", "8300"),
        "--port 8300 is no port of the container",
    ),
    (
        *("listening", "gpu", "Deployment/lander", f"{FIRST}.env.0.value", "0.0.0.0:9500"),
        "REELPAGE_WATCH=0.0.0.0:9500 is no port of the container",
    ),
    (
        *("answered", "gpu", "Deployment/ingest", f"{FIRST}.readinessProbe.httpGet.path", "/ready"),
        "nothing answers /ready; give /healthz or /readyz",
    ),
    (
        "answered",
        "gpu",
        "PodMonitor/ingest",
        "spec.podMetricsEndpoints.0.path",
        "/m",
        "at /metrics",
    ),
    # servers
    (
        *("addresses", "gpu", "ConfigMap/reelpage", "data.REELPAGE_LANDER", "http://lander:8300"),
        "Service lander has no port 8300; it has 8200, 9400",
    ),
    (
        *("addresses", "gpu", "ConfigMap/reelpage", "data.REELPAGE_GRAPH", "http://reelpage:8000"),
        "there is no Service 'reelpage'; there are lander, reelpage-head-svc, reelpage-serve-svc",
    ),
    (
        *("addresses", "local", "ConfigMap/reelpage", "data.REELPAGE_KAFKA", "kafka:9093"),
        "Service kafka has no port 9093; it has 9092",
    ),
    (
        *("addresses", "gpu", "ConfigMap/reelpage", "data.REELPAGE_KAFKA", "a.example.org:19092"),
        "no NetworkPolicy lets it out to port 19092 of a.example.org",
    ),
    (
        *("addresses", "gpu", "NetworkPolicy/graph", "spec.ingress.0.ports.0.port", 8001),
        "ingress of port 8000 is allowed by no NetworkPolicy, to reelpage-serve-svc",
    ),
    (
        *("addresses", "gpu", "NetworkPolicy/ingest", "spec.egress.1.ports.0.port", 8201),
        "egress of port 8200 is allowed by no NetworkPolicy, to lander",
    ),
    (
        *("landers", "gpu", "ConfigMap/reelpage", "data.REELPAGE_LANDER"),
        *("http://reelpage-serve-svc:8000", "is no lander: behind reelpage-serve-svc runs graph"),
    ),
    # lag
    (
        "lag",
        "keda",
        "ScaledObject/ingest",
        f"{LAG}.topic",
        "jobs",
        "'jobs', and workers have REELPAGE",
    ),
    ("lag", "keda", "ScaledObject/ingest", f"{LAG}.topic", GONE, "topic: is missing; workers have"),
    (
        *("lag", "keda", "ScaledObject/ingest", f"{LAG}.consumerGroup", "reelpages"),
        "'reelpages', and workers have REELPAGE_GROUP=reelpage",
    ),
    (
        *("lag", "backfill", "ScaledJob/backfill", f"{LAG}.consumerGroup", "reelpage"),
        "'reelpage', and workers have REELPAGE_GROUP=backfill",
    ),
    (
        *("lag", "keda", "ScaledObject/ingest", f"{LAG}.bootstrapServersFromEnv", "KAFKA"),
        "workers have no variable KAFKA",
    ),
    (
        *("lag", "keda", "ScaledObject/ingest", f"{LAG}.offsetResetPolicy", "latest"),
        "latest, and workers begin at earliest",
    ),
    (
        *("lag", "keda", "ScaledObject/ingest", "spec.scaleTargetRef.name", "lander"),
        "lander runs lander; workers alone have a lag",
    ),
    (
        *("partitions", "keda", "KafkaTopic/reelpage", "spec.partitions", 8),
        "32 workers for 8 partitions of 'reelpage'",
    ),
    ("partitions", "backfill", "ScaledJob/backfill", "spec.maxReplicaCount", 5, "5 workers for 4"),
    (
        *("replicas", "keda", "Deployment/ingest", "spec.replicas", 1),
        "ScaledObject ingest says it; leave it out",
    ),
    # the graph
    *(
        ("serving", "gpu", "RayService/reelpage", "spec.serveConfigV2", put(old, new), said)
        for old, new, said in (
            ("num_cpus: 0", "num_gpu: 1", "no such option 'num_gpu'; did you mean num_gpus?"),
            ("min_replicas: 0", "min_replica: 0", "args.encoder: no such option 'min_replica'"),
            ("gpus: 0.5", "gpus: '0.5'", "args.encoder.gpus: '0.5' is no float"),
            ("route_prefix", "route_prefx", "did you mean route_prefix?"),
            ("name: Graph", "name: Grapf", "no such deployment; did you mean Graph?"),
            ("services.graph:build", "services.graph:bild", "the graph is services.graph:build"),
            ("lander: false", "lander: true", "say lander: false, or there are two"),
            ("port: 8000", "port: 8001", "http_options.port 8001 is no port of Ray's container"),
            ("host: 0.0.0.0, ", "", "http_options.host has to be 0.0.0.0"),
            ("port: 8000", "port: many", "config.http_options.port: "),
            ("{host", "{{host", "is no YAML"),
            (
                "max_replicas: 8",
                "max_replicas: 9",
                "may have 9 replicas of 2 CPU, 1 GPU, 1 decoder",
            ),
            ("{decoder: 1}", "{decodr: 1}", "1 decodr, which no worker group offers: encoder (4 C"),
            ("gpus: 1,", "gpus: 2,", "Decoder asks for 2 CPU, 2 GPU, 1 decoder, which no worker"),
        )
    ),
    (
        *("serving", "gpu", "RayService/reelpage"),
        f"{GROUP}.1.template.spec.containers.0.resources.limits",
        *({"cpu": "4", "memory": "1Gi"}, "Decoder asks for 2 CPU, 1 GPU, 1 decoder, which no work"),
    ),
    (
        *("serving", "gpu", "RayService/reelpage"),
        *(f"{GROUP}.0.template.spec.terminationGracePeriodSeconds", 60),
        "60 s, and a replica has grace_s=60; give more",
    ),
    (
        *("serving", "gpu", "ConfigMap/reelpage", "data.REELPAGE_LANDER", GONE),
        "workers have no REELPAGE_LANDER: nobody commits",
    ),
    # safety
    (
        "deny_first",
        "gpu",
        "NetworkPolicy/default-deny",
        "",
        GONE,
        "of type Ingress selects the pod",
    ),
    (
        *("closed", "gpu", "NetworkPolicy/graph", "spec.ingress.0.ports", GONE),
        "dashboard 8265 may be asked by Deployment/ingest: name in a NetworkPolicy who may",
    ),
    (
        *("closed", "gpu", "NetworkPolicy/lander", "spec.ingress.0.from", GONE),
        "http 8200 may be asked by any pod",
    ),
    *(
        ("security", "gpu", "Deployment/ingest", path, value, said)
        for path, value, said in (
            (f"{POD}.securityContext.runAsNonRoot", GONE, "runAsNonRoot: has to be True"),
            (
                f"{POD}.securityContext.seccompProfile.type",
                "Unconfined",
                "seccompProfile: has to be",
            ),
            (f"{POD}.hostNetwork", True, "hostNetwork: no pod has a part of its host"),
            (f"{POD}.automountServiceAccountToken", GONE, "asks the cluster for anything"),
            (f"{POD}.volumes.0", {"name": "tmp", "hostPath": {"path": "/"}}, "folder of the host"),
            (f"{FIRST}.securityContext.allowPrivilegeEscalation", True, "has to be False"),
            (f"{FIRST}.securityContext.readOnlyRootFilesystem", False, "has to be True"),
            (f"{FIRST}.securityContext.capabilities", {"add": ["SYS_ADMIN"]}, "{'drop': ['ALL']}"),
        )
    ),
    (
        *("security", "gpu", "RayService/reelpage"),
        f"{GROUP}.1.template.spec.containers.0.securityContext",
        *(GONE, "workerGroupSpecs[1].template.spec.containers[0].securityContext.readOnly"),
    ),
    (
        *("service_links", "gpu", "Deployment/ingest", f"{POD}.enableServiceLinks", True),
        "Services become variables, which are no settings of ours",
    ),
    (
        "images",
        "gpu",
        "Deployment/ingest",
        f"{FIRST}.image",
        "r:5000/reelpage",
        "no tag that stays",
    ),
    (
        "images",
        "gpu",
        "Deployment/ingest",
        f"{FIRST}.image",
        "reelpage:latest",
        "no tag that stays",
    ),
    (
        "requests",
        "gpu",
        "Deployment/ingest",
        f"{FIRST}.resources.limits",
        GONE,
        "limits.memory: is m",
    ),
    (
        *("grace", "gpu", "Deployment/ingest", f"{POD}.terminationGracePeriodSeconds", 30),
        "30 s, and a worker takes up to 30 s to drain; give more",
    ),
    ("restarts", "gpu", "Job/models", f"{POD}.restartPolicy", GONE, "has to be Never or OnFailure"),
    ("scratch", "gpu", "Deployment/lander", f"{FIRST}.volumeMounts", GONE, "is mounted at /tmp"),
    (
        *("scratch", "gpu", "RayService/reelpage"),
        f"{GROUP}.0.template.spec.containers.0.volumeMounts.1",
        *(GONE, "nothing is mounted at /dev/shm"),
    ),
    (
        *("lake", "gpu", "ConfigMap/reelpage", "data.REELPAGE_LAKE", "/tmp/lake"),
        "REELPAGE_LAKE=/tmp/lake ends with the pod; use s3:// or a claim",
    ),
    (
        *("stores", "local", "StatefulSet/seaweedfs", "spec.volumeClaimTemplates", GONE),
        "what it stores would end with the pod",
    ),
]


@pytest.mark.parametrize(
    ("overlay", "where", "path", "value", "said"), STRUCTURE, ids=[one[-1] for one in STRUCTURE]
)
def test_what_a_kind_may_not_hold_is_found(
    rendered: Rendered, overlay: str, where: str, path: str, value: Value, said: str
) -> None:
    found = check(planted(rendered(overlay), where, path, value), refusal)
    assert [one for one in found if said in f"{one.path}: {one.what}"], found


@pytest.mark.parametrize(
    ("_", "overlay", "where", "path", "value", "said"), CROSS, ids=[one[-1] for one in CROSS]
)
def test_what_does_not_fit_is_found(
    rendered: Rendered, _: str, overlay: str, where: str, path: str, value: Value, said: str
) -> None:
    found = check(planted(rendered(overlay), where, path, value), refusal)
    assert [one for one in found if said in f"{one.path}: {one.what}"], found


def test_every_check_has_an_error_that_it_finds() -> None:
    assert {one[0] for one in CROSS} == {one.__name__ for one in CHECKS} | {"commands"}


@pytest.mark.parametrize("overlay", ["kueue", "local"])
def test_whatever_is_missing_is_no_fault_of_the_check(rendered: Rendered, overlay: str) -> None:
    """A field less may be right or wrong; it is never what a check stumbles over."""
    documents = rendered(overlay)
    every = [(one, path) for one in documents for path in _paths(one.body)]
    found = 0
    for document, path in every[::61]:
        changed = Document(copy.deepcopy(document.body))
        *way, last = path
        place: Any = changed.body
        for key in way:
            place = place[key]
        del place[last]
        found += bool(check([changed if one is document else one for one in documents], refusal))
    assert found > 3


def _paths(value: object, way: Way = ()) -> Iterator[Way]:
    """Paths of all that is below a value."""
    items = value.items() if isinstance(value, dict) else ()
    for key, one in enumerate(value) if isinstance(value, list) else items:
        yield (*way, key)
        yield from _paths(one, (*way, key))


def test_all_errors_of_a_document_are_said(rendered: Rendered) -> None:
    documents = planted(rendered("gpu"), "Deployment/ingest", "spec.replica", 2)
    documents = planted(documents, "Deployment/ingest", f"{FIRST}.imag", "x")
    paths = {one.path for one in check(documents, refusal)}
    assert paths == {"spec.replica", "spec.template.spec.containers[0].imag"}

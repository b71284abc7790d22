"""Ray: the custom resources of KubeRay 1.7, as far as manifests of ours use them."""

from dataclasses import dataclass
from typing import Any, Final

from services.k8s.core import Core
from services.k8s.documents import dig
from services.k8s.shape import TEXT, WHOLE, YES, Each, Fields, Named, Shape, Wrong, one_of


@dataclass(frozen=True)
class _Pod:
    """A pod's template with a container: the first one is Ray's."""

    def wrong(self, value: Any, path: str) -> Wrong:  # noqa: ANN401 - see `Shape`
        """See `Shape`."""
        yield from Core("io.k8s.api.core.v1.PodTemplateSpec").wrong(value, path)
        if not dig(value, "spec.containers"):
            yield f"{path}.spec.containers", "is missing"


_POD: Final = _Pod()
_TEXTS: Final = Named(TEXT)
_CREDENTIAL: Final = Fields(
    {"value": TEXT, "valueFrom": Core("io.k8s.api.core.v1.EnvVarSource")},
)
_AUTOSCALER: Final = Fields(
    {
        "version": one_of("v2"),  # v1 is not told how long a group may idle
        "idleTimeoutSeconds": WHOLE,
        "upscalingMode": one_of("Default", "Aggressive", "Conservative"),
        "resources": Core("io.k8s.api.core.v1.ResourceRequirements"),
        "securityContext": Core("io.k8s.api.core.v1.SecurityContext"),
        "env": Each(Core("io.k8s.api.core.v1.EnvVar")),
        "volumeMounts": Each(Core("io.k8s.api.core.v1.VolumeMount")),
    }
)
_GROUP: Final[dict[str, Shape]] = {
    "rayStartParams": _TEXTS,
    "resources": _TEXTS,
    "labels": _TEXTS,
    "template": _POD,
}
_WORKERS: Final = Fields(
    {
        **_GROUP,
        "groupName": TEXT,
        "replicas": WHOLE,
        "minReplicas": WHOLE,
        "maxReplicas": WHOLE,
        "numOfHosts": WHOLE,
        "idleTimeoutSeconds": WHOLE,
    },
    ("groupName", "maxReplicas", "rayStartParams", "template"),
)
_CLUSTER: Final = Fields(
    {
        "rayVersion": TEXT,
        "authOptions": Fields({"mode": one_of("token", "disabled")}, ("mode",)),
        "enableInTreeAutoscaling": YES,
        "autoscalerOptions": _AUTOSCALER,
        "gcsFaultToleranceOptions": Fields(
            {
                "redisAddress": TEXT,
                "redisUsername": _CREDENTIAL,
                "redisPassword": _CREDENTIAL,
                "externalStorageNamespace": TEXT,
            },
            ("redisAddress",),
        ),
        "headGroupSpec": Fields(
            {**_GROUP, "serviceType": one_of("ClusterIP", "NodePort", "LoadBalancer")},
            ("rayStartParams", "template"),
        ),
        "workerGroupSpecs": Each(_WORKERS),
    },
    ("rayVersion", "headGroupSpec"),
)
SHAPES: Final[dict[str, Shape]] = {
    "RayService": Fields(
        {
            "serveConfigV2": TEXT,
            "upgradeStrategy": Fields(
                {
                    "type": one_of("NewCluster", "NewClusterWithIncrementalUpgrade", "None"),
                    "clusterUpgradeOptions": Fields(
                        {
                            "gatewayClassName": TEXT,
                            "maxSurgePercent": WHOLE,
                            "stepSizePercent": WHOLE,
                            "intervalSeconds": WHOLE,
                        },
                        ("gatewayClassName",),
                    ),
                }
            ),
            "rayClusterDeletionDelaySeconds": WHOLE,
            "excludeHeadPodFromServeSvc": YES,
            "suspend": YES,
            "rayClusterConfig": _CLUSTER,
        },
        ("serveConfigV2", "rayClusterConfig"),
    ),
    "RayCluster": _CLUSTER,
    "RayJob": Fields(
        {
            "entrypoint": TEXT,
            "runtimeEnvYAML": TEXT,
            "submissionMode": one_of("K8sJobMode", "HTTPMode", "SidecarMode"),
            "submitterPodTemplate": _POD,
            "shutdownAfterJobFinishes": YES,
            "ttlSecondsAfterFinished": WHOLE,
            "activeDeadlineSeconds": WHOLE,
            "backoffLimit": WHOLE,
            "suspend": YES,
            "rayClusterSpec": _CLUSTER,
        },
        ("entrypoint", "rayClusterSpec"),
    ),
}

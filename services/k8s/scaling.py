"""Scaling: the custom resources of KEDA 2.21, as far as manifests of ours use them."""

from typing import Final

from services.k8s.core import Core
from services.k8s.shape import TEXT, WHOLE, Each, Fields, Like, Shape, one_of

_DIGITS: Final = Like(r"\d+", "a whole number, as text")
_YES: Final = one_of("true", "false")
_FROM: Final = Like(r"[A-Za-z_]\w*", "the name of a variable of the container")
_LAG: Final = Fields(  # KEDA takes texts alone, and a number is refused by the cluster
    {
        "bootstrapServers": TEXT,
        "bootstrapServersFromEnv": _FROM,
        "topic": TEXT,
        "topicFromEnv": _FROM,
        "consumerGroup": TEXT,
        "consumerGroupFromEnv": _FROM,
        "offsetResetPolicy": one_of("earliest", "latest"),
        "lagThreshold": _DIGITS,
        "activationLagThreshold": _DIGITS,
        "limitToPartitionsWithLag": _YES,
        "excludePersistentLag": _YES,
        "allowIdleConsumers": _YES,
        "scaleToZeroOnInvalidOffset": _YES,
        "version": TEXT,
        "sasl": one_of("none", "plaintext", "scram_sha256", "scram_sha512"),
        "tls": one_of("enable", "disable"),
    },
    ("lagThreshold", "offsetResetPolicy"),
)
_TRIGGERS: Final = Each(
    Fields(
        {
            "type": one_of("kafka"),
            "name": TEXT,
            "metadata": _LAG,
            "authenticationRef": Fields({"name": TEXT, "kind": TEXT}, ("name",)),
        },
        ("type", "metadata"),
    )
)
_BEHAVIOR: Final = Core("io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerBehavior")
_SECRETS: Final = Each(
    Fields({"parameter": TEXT, "name": TEXT, "key": TEXT}, ("parameter", "name", "key"))
)
SHAPES: Final[dict[str, Shape]] = {
    "ScaledObject": Fields(
        {
            "scaleTargetRef": Fields(
                {"name": TEXT, "kind": TEXT, "apiVersion": TEXT, "envSourceContainerName": TEXT},
                ("name",),
            ),
            "pollingInterval": WHOLE,
            "cooldownPeriod": WHOLE,
            "initialCooldownPeriod": WHOLE,
            "minReplicaCount": WHOLE,
            "idleReplicaCount": WHOLE,
            "maxReplicaCount": WHOLE,
            "fallback": Fields(
                {"failureThreshold": WHOLE, "replicas": WHOLE}, ("failureThreshold", "replicas")
            ),
            "advanced": Fields(
                {"horizontalPodAutoscalerConfig": Fields({"name": TEXT, "behavior": _BEHAVIOR})}
            ),
            "triggers": _TRIGGERS,
        },
        ("scaleTargetRef", "maxReplicaCount", "triggers"),
    ),
    "ScaledJob": Fields(
        {
            "jobTargetRef": Core("io.k8s.api.batch.v1.JobSpec"),
            "pollingInterval": WHOLE,
            "minReplicaCount": WHOLE,
            "maxReplicaCount": WHOLE,
            "successfulJobsHistoryLimit": WHOLE,
            "failedJobsHistoryLimit": WHOLE,
            "scalingStrategy": Fields({"strategy": one_of("default", "eager")}),
            "triggers": _TRIGGERS,
        },
        ("jobTargetRef", "maxReplicaCount", "triggers"),
    ),
    "TriggerAuthentication": Fields({"secretTargetRef": _SECRETS}, ("secretTargetRef",)),
}

"""Others: custom resources of Strimzi, the Prometheus operator and Kueue that manifests use."""

from typing import Final

from services.k8s.core import Core
from services.k8s.shape import PLAIN, TEXT, WHOLE, YES, Each, Fields, Like, Named, Shape
from services.k8s.shape import one_of as one

_DURATION: Final = Like(r"\d+(ms|s|m|h)", "a time such as 15s")
_SELECTOR: Final = Core("io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector")
_QUANTITY: Final = Core("io.k8s.apimachinery.pkg.api.resource.Quantity")
_LABELS: Final = Named(TEXT)
_RELABELING: Final = Fields(
    {
        "sourceLabels": Each(TEXT),
        "targetLabel": TEXT,
        "separator": TEXT,
        "regex": TEXT,
        "replacement": TEXT,
        "action": one("replace", "keep", "drop", "labelmap", "labeldrop", "labelkeep"),
    }
)
_ENDPOINT: Final = Each(
    Fields(
        {
            "port": TEXT,
            "path": TEXT,
            "scheme": one("http", "https"),
            "interval": _DURATION,
            "scrapeTimeout": _DURATION,
            "relabelings": Each(_RELABELING),
            "metricRelabelings": Each(_RELABELING),
        },
        ("port",),
    )
)
_NAMESPACES: Final = Fields({"any": YES, "matchNames": Each(TEXT)})


SHAPES: Final[dict[str, dict[str, Shape]]] = {
    "kafka.strimzi.io/v1": {
        "KafkaTopic": Fields(
            {
                "topicName": TEXT,
                "partitions": WHOLE,
                "replicas": WHOLE,
                "config": Named(PLAIN),
            },
            ("partitions", "replicas"),
        )
    },
    "monitoring.coreos.com/v1": {
        "PodMonitor": Fields(
            {
                "selector": _SELECTOR,
                "namespaceSelector": _NAMESPACES,
                "podMetricsEndpoints": _ENDPOINT,
            },
            ("selector", "podMetricsEndpoints"),
        ),
        "ServiceMonitor": Fields(
            {"selector": _SELECTOR, "namespaceSelector": _NAMESPACES, "endpoints": _ENDPOINT},
            ("selector", "endpoints"),
        ),
        "PrometheusRule": Fields(
            {
                "groups": Each(
                    Fields(
                        {
                            "name": TEXT,
                            "interval": _DURATION,
                            "rules": Each(
                                Fields(
                                    {
                                        "alert": TEXT,
                                        "record": TEXT,
                                        "expr": TEXT,
                                        "for": _DURATION,
                                        "keep_firing_for": _DURATION,
                                        "labels": _LABELS,
                                        "annotations": _LABELS,
                                    },
                                    ("expr",),
                                )
                            ),
                        },
                        ("name", "rules"),
                    )
                )
            },
            ("groups",),
        ),
    },
    "kueue.x-k8s.io/v1beta2": {
        "ResourceFlavor": Fields(
            {
                "nodeLabels": _LABELS,
                "nodeTaints": Each(Core("io.k8s.api.core.v1.Taint")),
                "tolerations": Each(Core("io.k8s.api.core.v1.Toleration")),
            }
        ),
        "ClusterQueue": Fields(
            {
                "cohortName": TEXT,
                "namespaceSelector": _SELECTOR,
                "queueingStrategy": one("StrictFIFO", "BestEffortFIFO"),
                "resourceGroups": Each(
                    Fields(
                        {
                            "coveredResources": Each(TEXT),
                            "flavors": Each(
                                Fields(
                                    {
                                        "name": TEXT,
                                        "resources": Each(
                                            Fields(
                                                {
                                                    "name": TEXT,
                                                    "nominalQuota": _QUANTITY,
                                                    "borrowingLimit": _QUANTITY,
                                                    "lendingLimit": _QUANTITY,
                                                },
                                                ("name", "nominalQuota"),
                                            )
                                        ),
                                    },
                                    ("name", "resources"),
                                )
                            ),
                        },
                        ("coveredResources", "flavors"),
                    )
                ),
            },
            ("resourceGroups",),
        ),
        "LocalQueue": Fields({"clusterQueue": TEXT}, ("clusterQueue",)),
    },
}

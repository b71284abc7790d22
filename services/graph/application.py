"""Application: the deployments of the graph with their resources, bound to each other.

POST /v1/shards ─► Graph ─► Encoder ─► Decoder
POST /v1/text   ─► Graph ─► Recogniser
"""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ray import serve

from schemas.errors import SetupError
from services.calls.gate import RETRY_AFTER_S, check_secret
from services.checkpoints.found import checkpoint
from services.graph import cluster
from services.graph.ingress import Graph
from services.graph.landing import LanderReplica
from services.graph.options import GraphOptions, StageOptions
from services.graph.recognising import RecogniserReplica
from services.graph.replicas import DecoderReplica, EncoderReplica, Queued, ReaderReplica
from services.graph.scaling import Waiting
from services.machine import HOST
from services.settings import Settings

APPLICATION: Final = "reelpage"
_QUESTIONS: Final = 256  # in one replica: they wait there, where their tokens are counted
_SHARDS: Final = 8  # that may wait for a recogniser
# Derived in simulation: docs/scaling.md says how.
_VISUAL: Final = 8192  # tokens that may wait for an encoder
_TOKENS: Final = 4096  # tokens to decode that may wait for a decoder
_GOES_S: Final = {"downscale_delay_s": 120.0, "downscale_to_zero_delay_s": 600.0}


@dataclass(frozen=True)
class _Stage:
    """A deployment before it is one; `share` is the cost that may wait for each replica.

    What there is `more` is for its constructor.
    """

    name: str
    kind: type[Queued]
    options: StageOptions
    share: int
    more: tuple[object, ...] = ()


def build(args: Mapping[str, Any]) -> serve.Application:
    """The application for a Serve config file: `import_path: services.graph:build`.

    The model and its threads are read from the environment here, the rest by the replicas.

    Raises:
        SetupError: `usage`, or what is wrong with the model's address.
    """
    return _application(GraphOptions.from_mapping(args), Settings.from_environment(), None)


def deploy(
    options: GraphOptions, settings: Settings, port: int, host: str = HOST, address: str = ""
) -> str:
    """Start the graph, and Ray where none is joined, and wait until it answers.

    Args:
        options: replicas and resources.
        settings: with the lake and the model.
        port: of its HTTP server.
        host: address of this machine that it listens on.
        address: of a Ray cluster to join; empty to start one that ends with this process.

    Returns:
        Its URL. It runs until `cluster.stop`.

    Raises:
        SetupError: `usage` or `graph_not_started`.
    """
    if not settings.lake:
        message = "the graph reads shards from the lake; set REELPAGE_LAKE"
        raise SetupError("usage", message)
    check_secret(settings.secret)
    _check_host(host)
    application = _application(options, settings, settings)
    cpus = sum(stage.cpus * stage.max_replicas for stage in options.stages)
    _, _, metrics = settings.watch.rpartition(":")
    cluster.start(
        port,
        host=host,
        cpus=cpus,
        gpus=options.shares,
        address=address,
        metrics=int(metrics) if metrics else None,
    )
    try:
        serve.run(application, name=APPLICATION, route_prefix="/")
    except RuntimeError as error:
        cluster.stop()
        raise SetupError("graph_not_started", str(error)) from error
    return f"http://{host}:{port}"


def _check_host(host: str) -> None:
    """Refuse an address that is not this machine's; Serve would try it again and again.

    Raises:
        SetupError: `usage`.
    """
    with socket.socket() as probe:
        try:
            probe.bind((host, 0))
        except OSError as error:
            message = f"--host {host}: no IPv4 address of this machine; 0.0.0.0 is all of them"
            raise SetupError("usage", message) from error


def _application(
    options: GraphOptions, here: Settings, there: Settings | None
) -> serve.Application:
    """Bind the deployments; `there` is None where processes read their own environment."""
    model = checkpoint(here).address  # pinned: all replicas, on any machine, have one commit
    stages = [
        serve.deployment(**_stage_options(stage, options.grace_s))(stage.kind).bind(
            model, "cuda" if stage.options.gpus else "cpu", here.threads, there, *stage.more
        )
        for stage in _stages(options)
    ]
    reading = _Stage("Recogniser", RecogniserReplica, options.recogniser, _SHARDS)
    recogniser = serve.deployment(**_stage_options(reading, options.grace_s))(reading.kind)
    ingress = cluster.deployment_options(
        name="Graph",
        num_replicas=options.ingresses,
        max_ongoing_requests=options.admitted + _QUESTIONS,
        max_queued_requests=_QUESTIONS,
        backpressure_config={"status_code": 503, "retry_after_s": RETRY_AFTER_S},
        graceful_shutdown_timeout_s=options.grace_s,
        ray_actor_options={"num_cpus": 0},
    )
    return serve.deployment(**ingress)(Graph).bind(
        stages,
        recogniser.bind(there),
        _lander(there) if options.lander else None,
        there,
        options.admitted,
        keeps=options.keep_features,
    )


def _lander(there: Settings | None) -> serve.Application:
    options = cluster.deployment_options(
        name="Lander",
        num_replicas=1,
        max_ongoing_requests=_QUESTIONS,
        ray_actor_options={"num_cpus": 0},
    )
    return serve.deployment(**options)(LanderReplica).bind(there)


def _stages(options: GraphOptions) -> list[_Stage]:
    if options.colocate:
        return [_Stage("Reader", ReaderReplica, options.decoder, _TOKENS)]
    return [
        _Stage("Encoder", EncoderReplica, options.encoder, _VISUAL),
        _Stage("Decoder", DecoderReplica, options.decoder, _TOKENS, (options.vllm,)),
    ]


def _stage_options(stage: _Stage, grace_s: float) -> dict[str, Any]:
    options = stage.options
    scaling: dict[str, Any] = {"num_replicas": options.min_replicas}
    if options.max_replicas > options.min_replicas:
        scaling = {
            "autoscaling_config": {
                "min_replicas": options.min_replicas,
                "max_replicas": options.max_replicas,
                **_GOES_S,
                "policy": {
                    "policy_function": f"{Waiting.__module__}:{Waiting.__name__}",
                    "policy_kwargs": {"share": stage.share},
                },
            }
        }
    return cluster.deployment_options(
        name=stage.name,
        max_ongoing_requests=_QUESTIONS,
        graceful_shutdown_timeout_s=grace_s,
        max_constructor_retry_count=2,
        ray_actor_options={
            "num_cpus": options.cpus,
            "num_gpus": options.gpus,
            "resources": dict(options.resources),
        },
        **scaling,
    )

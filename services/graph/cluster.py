"""Cluster: how Ray is started, joined and stopped. With `graph`, the only module that knows Ray."""

import logging
import os
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Any, Final

import ray
from pydantic import ValidationError
from ray import serve
from ray._private import ray_constants
from ray.exceptions import RayError
from ray.serve.schema import DeploymentSchema, ServeDeploySchema

from schemas.errors import SetupError
from services.graph import reaper
from services.graph.gpus import check
from services.graph.strict import check_keys, refuse_unknown
from services.machine import HOST

_STORE_BYTES: Final = 2 << 30
_STORE_SHARE: Final = 8  # of the machine's memory
_ENVIRONMENT: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ROTATION_MAX_BYTES": str(16 << 20),
    "RAY_ROTATION_BACKUP_COUNT": "1",
    "RAY_SERVE_LOG_TO_STDERR": "0",
    "RAY_worker_niceness": "0",  # 15 by default: other work would starve the model
    # On a busy machine the proxy takes longer than Serve's 5 seconds and is killed for it.
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
    "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "30",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # else its ports listen on every address
    # A process title is written over the environment otherwise, and with it over the reaper's mark.
    "SPT_NOENV": "1",
}


def start(
    port: int,
    *,
    host: str = HOST,
    cpus: float,
    gpus: Sequence[float],
    address: str = "",
    metrics: int | None = None,
) -> None:
    """Start Ray and Serve for this process, or join a cluster.

    Ray started here ends with this process. Its workers get an empty working directory: they
    would import from that of the user otherwise, where another `schemas` may lie.

    Args:
        port: of Serve's HTTP server.
        host: address of this machine that it listens on.
        cpus: what the replicas may ask for in all, whatever the machine has.
        gpus: of each replica; Serve would wait for those that are not there.
        address: of a cluster that runs, or empty to start one on this machine.
        metrics: port of a Ray started here that shows metrics; None for any.

    Raises:
        SetupError: `graph_not_started`.
    """
    with tempfile.TemporaryDirectory() as empty:
        common: dict[str, Any] = {
            "runtime_env": {"working_dir": empty},
            "log_to_driver": False,
            "logging_level": logging.ERROR,
        }
        try:
            if address:
                ray.init(address=address, **common)
            else:
                _start_here(cpus, common | {"_metrics_export_port": metrics})
        except (ConnectionError, RuntimeError, ValueError) as error:
            message = f"Ray did not start: {error}"
            raise SetupError("graph_not_started", message) from error
    _check_gpus(gpus)
    quiet = {"log_level": "WARNING", "enable_access_log": False}
    http = {"host": host, "port": port}
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    try:
        serve.start(proxy_location="HeadOnly", http_options=http, logging_config=quiet)
    except (RayError, RuntimeError, ValueError) as error:
        ray.shutdown()
        message = f"Ray Serve did not start: {error}"
        raise SetupError("graph_not_started", message) from error


def stop() -> None:
    """End the applications, and Ray where this process started it."""
    serve.shutdown()  # type: ignore[no-untyped-call]
    ray.shutdown()


def deployment_options(**options: object) -> dict[str, Any]:
    """Options of one deployment, each known to Serve.

    Raises:
        SetupError: `usage`.
    """
    name = str(options["name"])
    refuse_unknown(name, options, signature(serve.deployment).parameters)
    known = DeploymentSchema.model_fields
    check_keys(DeploymentSchema, {key: options[key] for key in options if key in known}, name)
    return options


def check_config(config: Mapping[str, Any]) -> None:
    """Check a Serve config file, whose unknown keys Serve would ignore.

    Raises:
        SetupError: `usage`, naming the place and the key that was meant, or the value that is none.
    """
    check_keys(ServeDeploySchema, config, "config")
    try:
        ServeDeploySchema.model_validate(config)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, ("config", *first["loc"])))
        message = f"{place}: {' '.join(first['msg'].split())}"
        raise SetupError("usage", message) from error


def _check_gpus(shares: Sequence[float]) -> None:
    """Leave a cluster that has not enough GPUs.

    Raises:
        SetupError: `graph_not_started`.
    """
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    try:
        check(shares, [node["Resources"].get("GPU", 0.0) for node in nodes if node["Alive"]])
    except SetupError:
        ray.shutdown()
        raise


def _start_here(cpus: float, common: dict[str, Any]) -> None:
    os.environ.update(_ENVIRONMENT)
    ray_constants.ENABLE_RAY_CLUSTER = False  # the same for this process, which has imported Ray
    # Other users of this machine reach its ports, which ask for this token unless a mode is set.
    os.environ.pop("RAY_AUTH_MODE", None)
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    os.environ[reaper.MARK] = secrets.token_hex(16)
    reaper.watch(os.environ[reaper.MARK])
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    ray.init(
        address="local",
        num_cpus=max(round(cpus + 0.5), os.cpu_count() or 1),
        object_store_memory=min(_STORE_BYTES, memory // _STORE_SHARE),
        include_dashboard=False,
        **common,
    )

"""Layers: the processes of a stack; each layer needs all those before it."""

import http.client
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from schemas.errors import ReelpageError
from services.ingest import WORKS
from services.machine import HOST
from services.settings import Settings
from services.stack.known import Server, known_servers
from services.stack.ports import GRPC, Ports
from services.stack.program import Program
from services.stack.registry import Plan
from services.stack.seaweedfs import new_s3, s3_server, seaweedfs
from services.stack.tansu import BUCKET, broker_of, new_broker, tansu
from services.topic.broker import PARTITIONS, make_topic

LAKE: Final = "lake"
_MODEL_S: Final = 600.0  # half a minute for Ray on two idle cores, minutes on busy ones
_GRAPH_GRACE_S: Final = 20.0
_WORKER_GRACE_S: Final = 35.0  # a little more than a worker takes to drain


def layers(plan: Plan, ports: Ports) -> tuple[list[list[Program]], dict[str, str]]:
    """The programs in the order of their start, and the settings by which commands find them.

    Args:
        plan: what was asked for.
        ports: hold those of the servers from now on.

    Raises:
        SetupError: `server_failed`, if a package is missing or somebody else has a port.
    """
    folder = Path(plan.folder)
    s3, broker, graph = _servers(folder, ports)
    environment = {
        "REELPAGE_KAFKA": broker_of(broker).bootstrap,
        "REELPAGE_S3_ENDPOINT": s3_server(s3).endpoint,
        "REELPAGE_S3_ACCESS_KEY": s3.access_key,
        "REELPAGE_S3_SECRET_KEY": s3.secret_key,
        "REELPAGE_LAKE": f"s3://{LAKE}",
        "REELPAGE_ROOTS": plan.roots,
        "REELPAGE_SECRET": secrets.token_urlsafe(32),
    }
    if plan.serve:
        environment["REELPAGE_GRAPH"] = f"http://{HOST}:{graph.ports[0]}"
    ours = {**plan.inherited, **plan.model, **environment}
    found = [
        [seaweedfs(folder, s3, (LAKE, BUCKET))],
        [_with_topic(tansu(broker, s3_server(s3)), environment)],
        [_graph(graph.ports[0], plan.graph, ours)] * plan.serve,
        [_worker(number, ours) for number in range(1, plan.workers + 1)],
    ]
    return found, environment


def _servers(folder: Path, ports: Ports) -> tuple[Server, Server, Server]:
    """Object storage, broker and graph; their ports are those of the last time."""
    made: Mapping[str, Callable[[], Server]] = {
        "s3": lambda: new_s3(ports),
        "broker": lambda: new_broker(ports, "s3"),
        "graph": lambda: Server(ports=ports.choose(1)),
    }
    with known_servers(folder) as servers:
        for name, make in made.items():
            if name in servers:
                numbers = servers[name].ports
                ports.keep([*numbers, *(number + GRPC for number in numbers)])
            else:
                servers[name] = make()
        return servers["s3"], servers["broker"], servers["graph"]


def _with_topic(broker: Program, environment: Mapping[str, str]) -> Program:
    """The broker, which answers when the topic of jobs is there too."""
    settings = Settings.from_environment(environment)

    def answers() -> bool:
        if not broker.answers():
            return False
        try:
            make_topic(settings, PARTITIONS)
        except ReelpageError:
            return False
        return True

    return replace(broker, answers=answers)


def _graph(port: int, options: Sequence[str], environment: Mapping[str, str]) -> Program:
    return Program(
        "graph",
        "Ray Serve with the model (half a minute)",
        _command("serve", "--port", str(port), *options),
        environment,
        (port,),
        answers=partial(_serves, port),
        within_s=_MODEL_S,
        grace_s=_GRAPH_GRACE_S,
    )


def _worker(number: int, environment: Mapping[str, str]) -> Program:
    return Program(
        f"worker-{number}",
        f"ingest worker {number}",
        _command("worker"),
        environment,
        says=WORKS,
        within_s=_MODEL_S,
        grace_s=_WORKER_GRACE_S,
    )


def _command(*arguments: str) -> tuple[str, ...]:
    # -P: the folder that it starts in is no place to import from.
    return (sys.executable, "-P", "-m", "reelpage", *arguments)


def _serves(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()

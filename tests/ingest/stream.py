"""A stream of one topic and one lake: real broker and S3 behind proxies, and real workers.

The model is a stub, which workers ask over HTTP.
"""

import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from deltalake import DeltaTable
from kafka import KafkaAdminClient, KafkaProducer
from kafka.partitioner.default import murmur2

from pipeline.consume import open_input
from pipeline.land.place import Place
from schemas.jobs import Job, MediaReference, Task
from services.machine import HOST
from services.settings import Settings
from services.stack.ports import Ports
from services.stack.servers import Broker, S3Server
from services.storage.places import open_place
from services.topic.client import opened
from tests.fault_proxy import FaultProxy
from tests.soak.members import Member

TASK = Task("caption", "caption?", 8)
MEDIA = "media"


class Stream:
    """What a test of the stream sends to, breaks and reads.

    Attributes:
        s3_proxy: what the worker reaches S3 through.
        broker_proxy: what it reaches the broker through.
    """

    def __init__(self, folder: Path, s3: S3Server, broker: Broker, partitions: int = 1) -> None:
        self.s3, self.broker = s3, broker
        self.topic = f"test-{uuid.uuid4().hex[:12]}"
        self.partitions = partitions
        self.s3_proxy = FaultProxy(s3.endpoint.partition("://")[2]).__enter__()
        self.broker_proxy = FaultProxy(broker.bootstrap, advertised=True).__enter__()
        client = s3.client()
        for bucket in (MEDIA, self.topic):
            if not client.bucket_exists(bucket):
                client.make_bucket(bucket)
        self.make_topic()
        self.roots = folder / "media"
        self.roots.mkdir(parents=True)
        self.environment = {
            "REELPAGE_S3_ENDPOINT": f"http://{self.s3_proxy.address}",
            "REELPAGE_S3_ACCESS_KEY": s3.access_key,
            "REELPAGE_S3_SECRET_KEY": s3.secret_key,
            "REELPAGE_LAKE": f"s3://{self.topic}/lake",
            "REELPAGE_KAFKA": self.broker_proxy.address,
            "REELPAGE_TOPIC": self.topic,
            "REELPAGE_GROUP": self.topic,
            "REELPAGE_ROOTS": str(self.roots),
            "REELPAGE_SOURCES": f"s3://{MEDIA}",
            "REELPAGE_SECRET": uuid.uuid4().hex,
        }
        self._folder = folder
        self._members: list[Member] = []
        self._ports = Ports()

    @property
    def settings(self) -> Settings:
        """Past the proxies."""
        direct = {
            "REELPAGE_S3_ENDPOINT": self.s3.endpoint,
            "REELPAGE_KAFKA": self.broker.bootstrap,
        }
        return Settings.from_environment(self.environment | direct)

    @property
    def place(self) -> Place:
        return open_place(self.settings.lake, self.settings)

    def worker(self, *options: str) -> Member:
        """Start a worker, and the graph that it asks."""
        (port,) = self._ports.choose(1)
        self._member("graph", ["tests.soak.graph", "--port", str(port)])
        command = ["tests.soak.worker", "--session", "6", *options]
        return self._member("worker", command, REELPAGE_GRAPH=f"http://{HOST}:{port}")

    def _member(self, kind: str, command: Sequence[str], **more: str) -> Member:
        name = f"{kind}-{len(self._members)}"
        member = Member(name, command, self.environment | more, self._folder)
        self._members.append(member)
        member.start()
        return member

    def _admin(self) -> KafkaAdminClient:
        return opened(KafkaAdminClient, bootstrap_servers=self.broker.bootstrap)

    def make_topic(self) -> None:
        spec = {"num_partitions": self.partitions, "replication_factor": 1}
        with closing(self._admin()) as admin:
            admin.create_topics({self.topic: spec}, wait_for_metadata=True)

    def remake_topic(self) -> None:
        """Delete the topic and make it again: its offsets begin anew."""
        with closing(self._admin()) as admin:
            admin.delete_topics([self.topic])
        self.make_topic()

    def send(self, value: bytes | Job, key: str = "key", partition: int = 0) -> None:
        data = value.to_json().encode() if isinstance(value, Job) else value
        with closing(
            opened(
                KafkaProducer,
                bootstrap_servers=self.broker.bootstrap,
                enable_idempotence=False,
                max_request_size=32 << 20,
            )
        ) as producer:
            producer.send(self.topic, data, key=key.encode(), partition=partition).get(timeout=30)

    def rows(self, table: str) -> list[dict[str, object]]:
        if not DeltaTable.is_deltatable(
            self.place.table(table), storage_options=self.place.options()
        ):
            return []
        handle = DeltaTable(self.place.table(table), storage_options=self.place.options())
        found: list[dict[str, object]] = handle.to_pyarrow_dataset().to_table().to_pylist()
        return found

    def failures(self) -> dict[str, dict[str, object]]:
        """By the address of the input; each is there once."""
        found = self.rows("failures")
        by_uri = {str(row["uri"]): row for row in found}
        assert len(by_uri) == len(found)
        return by_uri

    def indexed(self) -> list[str]:
        return sorted(str(row["uri"]) for row in self.rows("media"))

    def close(self) -> None:
        for member in self._members:
            member.kill()
        self._ports.close()
        self.s3_proxy.__exit__(None, None, None)
        self.broker_proxy.__exit__(None, None, None)


def job(name: str, uri: str, tasks: Sequence[Task] = (TASK,), **more: object) -> Job:
    """A job for a file or an object."""
    return Job(id=name, media=MediaReference(uri), tasks=tuple(tasks), sample="0.2fps", **more)  # type: ignore[arg-type]


def key_of(path: Path) -> bytes:
    """Of a medium's jobs: one with another key, or not in its home, is sent on."""
    return open_input(path).input_id.encode()


def home_of(path: Path, partitions: int) -> int:
    """The partition where a medium's jobs are worked on."""
    return int(murmur2(key_of(path)) & 0x7FFFFFFF) % partitions


def wait_for(condition: Callable[[], object], what: str, within_s: float = 60.0) -> None:
    give_up = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < give_up, f"{what}: not within {within_s:.0f} s"
        time.sleep(0.3)


def said(member: Member, *words: str) -> list[str]:
    """Lines of its log that hold all the words."""
    lines = member.log.read_text(errors="replace").splitlines()
    return [line for line in lines if all(word in line for word in words)]

"""Servers for development: they start, keep what they acknowledged over kill -9, and end."""

import io
import json
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3
from kafka import KafkaConsumer, KafkaProducer
from minio import Minio
from minio.error import MinioException

from schemas.errors import SetupError
from services.stack.servers import Broker, S3Server, Servers
from services.topic.client import opened
from tests.conftest import ROOT
from tests.fault_proxy import Fault, FaultProxy, Side
from tests.servers import TopicFactory

FAILURES = (MinioException, urllib3.exceptions.HTTPError)
DATA = bytes(range(256)) * 4


def put(client: Minio, bucket: str, name: str, data: bytes = DATA) -> None:
    client.put_object(bucket, name, io.BytesIO(data), len(data))


def get(client: Minio, bucket: str, name: str) -> bytes:
    with client.get_object(bucket, name) as reply:
        return reply.read()


def names(client: Minio, bucket: str) -> list[str | None]:
    return [entry.object_name for entry in client.list_objects(bucket, recursive=True)]


def numbers(broker: Broker, topic: str) -> list[int]:
    """All records of a topic of one partition, in their order."""
    consumer = opened(
        KafkaConsumer,
        bootstrap_servers=broker.bootstrap,
        auto_offset_reset="earliest",
        consumer_timeout_ms=3000,
    )
    consumer.subscribe([topic])
    found = [int(record.value) for record in consumer]
    consumer.close()
    return found


# --- they work, and keep what they acknowledged


def test_s3_gives_back_what_was_put(s3: S3Server, bucket: str) -> None:
    client = s3.client()
    put(client, bucket, "a/b")
    assert names(client, bucket) == ["a/b"]
    assert get(client, bucket, "a/b") == DATA


def test_broker_gives_back_what_was_produced(broker: Broker, topic: TopicFactory) -> None:
    name = topic()
    producer = opened(KafkaProducer, bootstrap_servers=broker.bootstrap)
    for number in range(100):
        producer.send(name, b"%d" % number)
    producer.close()
    assert numbers(broker, name) == list(range(100))


def test_objects_outlive_a_kill(servers: Servers, s3: S3Server, bucket: str) -> None:
    client = s3.client(timeout_s=2)
    stored: list[str] = []

    def write() -> None:
        try:
            while True:
                put(client, bucket, f"{len(stored):05}")
                stored.append(f"{len(stored):05}")
        except FAILURES:
            return

    writer = threading.Thread(target=write)
    writer.start()
    time.sleep(1.5)
    servers.kill("s3")
    writer.join()
    servers.restart("s3")
    assert len(stored) > 10
    assert set(stored) <= set(names(client, bucket))
    assert all(get(client, bucket, name) == DATA for name in stored)
    put(client, bucket, "and goes on")


def test_records_outlive_a_kill(servers: Servers, broker: Broker, topic: TopicFactory) -> None:
    """Without idempotence, what was under way is sent again; with it, Tansu may call a batch that
    it lost a duplicate.
    """
    name = topic()
    with FaultProxy(broker.bootstrap, advertised=True) as proxy:
        producer = opened(KafkaProducer, bootstrap_servers=proxy.address, enable_idempotence=False)
        sent = []
        for number in range(300):
            sent.append(producer.send(name, b"%d" % number))
            if number == 150:
                sent[40].get(timeout=10)
                servers.restart("broker")
            time.sleep(0.002)
        producer.flush(timeout=20)
        acknowledged = {number for number, record in enumerate(sent) if record.succeeded()}
        producer.close()
    assert len(acknowledged) > 40
    assert acknowledged <= set(numbers(broker, name))


# --- faults, seen by real clients


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[FaultProxy]:
    with FaultProxy(s3.endpoint.removeprefix("http://")) as proxy:
        yield proxy


def through(proxy: FaultProxy, s3: S3Server) -> Minio:
    address = f"http://{proxy.address}"
    return S3Server(address, s3.access_key, s3.secret_key).client(timeout_s=1)


@pytest.mark.parametrize(
    ("fault", "side"),
    [
        ("reset", "request"),
        ("hang", "request"),
        ("503", "request"),
        ("cut", "request"),
        ("reset", "reply"),
        ("hang", "reply"),
        ("503", "reply"),
    ],
)
def test_a_lost_put_is_stored_only_if_the_reply_was_lost(
    proxy: FaultProxy, s3: S3Server, bucket: str, fault: Fault, side: Side
) -> None:
    client = through(proxy, s3)
    proxy.arm(fault, on=side, match=b"/_delta_log/")
    put(client, bucket, "untouched")
    with pytest.raises(FAILURES):
        put(client, bucket, "t/_delta_log/0.json")
    assert proxy.fired == {f"{fault} {side}": 1}
    stored = ["t/_delta_log/0.json"] if side == "reply" else []
    assert names(s3.client(), bucket) == [*stored, "untouched"]
    put(client, bucket, "t/_delta_log/1.json")


def test_a_reply_that_is_cut_is_an_error(proxy: FaultProxy, s3: S3Server, bucket: str) -> None:
    put(s3.client(), bucket, "large", DATA * 1024)
    proxy.arm("cut", on="reply", match=b"/large")
    with pytest.raises(urllib3.exceptions.HTTPError):
        get(through(proxy, s3), bucket, "large")
    assert get(through(proxy, s3), bucket, "large") == DATA * 1024


def test_slow_is_late_but_whole(proxy: FaultProxy, s3: S3Server, bucket: str) -> None:
    client = through(proxy, s3)
    put(client, bucket, "x")
    proxy.arm("slow", on="reply", times=2, seconds=0.3)
    began = time.monotonic()
    assert get(client, bucket, "x") == get(client, bucket, "x") == DATA
    assert time.monotonic() - began >= 0.6
    assert proxy.fired["slow reply"] == 2


def test_refusing_ends_open_connections_and_new_ones(
    proxy: FaultProxy, s3: S3Server, bucket: str
) -> None:
    client = through(proxy, s3)
    put(client, bucket, "before")
    with proxy.refusing(), pytest.raises(FAILURES):
        put(client, bucket, "meanwhile")
    put(client, bucket, "after")
    assert names(client, bucket) == ["after", "before"]


def test_a_retry_after_a_dropped_reply_meets_its_own_put(
    proxy: FaultProxy, s3: S3Server, bucket: str
) -> None:
    """What makes lost replies a hazard: the client retries by itself, the work is done twice."""
    proxy.arm("reset", on="reply", match=b"PUT /")
    address = f"http://{proxy.address}"
    put(S3Server(address, s3.access_key, s3.secret_key).client(retries=1), bucket, "x")
    assert proxy.fired["reset reply"] == 1
    assert proxy.connections == 2


def test_a_produce_whose_reply_is_lost_is_not_doubled(broker: Broker, topic: TopicFactory) -> None:
    name = topic()
    with FaultProxy(broker.bootstrap, advertised=True) as proxy:
        producer = opened(KafkaProducer, bootstrap_servers=proxy.address)
        producer.send(name, b"0").get(timeout=10)
        before = proxy.connections
        proxy.arm("reset", on="reply", match=b"precious")
        producer.send(name, b"1", key=b"precious").get(timeout=10)
        producer.close()
        assert proxy.fired["reset reply"] == 1
        assert proxy.connections > before, "the client went through the proxy again"
    assert numbers(broker, name) == [0, 1]


# --- they begin and end


def state(folder: Path) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = json.loads((folder / "servers.json").read_text())
    return found


def test_up_twice_and_down_from_elsewhere(tmp_path: Path) -> None:
    servers = Servers(tmp_path)
    address = servers.broker("memory")
    known = state(tmp_path)
    assert stat.S_IMODE((tmp_path / "servers.json").stat().st_mode) == 0o600
    other = Servers(tmp_path)
    assert other.broker("memory") == address
    assert state(tmp_path) == known
    other.down()
    servers.down()
    assert not Path(f"/proc/{known['broker']['pid']}").exists()


def test_down_leaves_no_process_and_the_data(tmp_path: Path) -> None:
    servers = Servers(tmp_path)
    s3 = servers.s3(["kept"])
    put(s3.client(), "kept", "x")
    pid = state(tmp_path)["s3"]["pid"]
    volumes = list((tmp_path / "s3").glob("kept_*.dat"))
    assert len(volumes) == 1, "with more for each bucket they run out"
    servers.down()
    assert not Path(f"/proc/{pid}").exists()
    assert not list(Path("/tmp").glob(f"seaweedfs-*-{s3.endpoint.rpartition(':')[2]}.sock"))
    servers.down()
    again = Servers(tmp_path)
    assert again.s3(["kept"]) == s3
    assert get(s3.client(), "kept", "x") == DATA
    again.down(grace_s=0)


def test_a_pid_that_was_used_again_is_left_alone(tmp_path: Path) -> None:
    servers = Servers(tmp_path)
    servers.broker("memory")
    servers.kill("broker")
    known = state(tmp_path)
    known["broker"]["pid"], known["broker"]["started"] = os.getpid(), 1
    (tmp_path / "servers.json").write_text(json.dumps(known))
    servers.down()
    assert state(tmp_path)["broker"]["pid"] == 0


def test_a_port_that_was_taken_says_so(tmp_path: Path) -> None:
    servers = Servers(tmp_path)
    servers.broker("memory")
    servers.down()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        known = state(tmp_path)
        port = taken.getsockname()[1]
        (tmp_path / "servers.json").write_text(
            json.dumps({"broker": known["broker"] | {"ports": [port]}})
        )
        with pytest.raises(SetupError, match=f"port {port} of 127.0.0.1 is in use"):
            servers.broker()


def test_a_missing_package_names_the_remedy(tmp_path: Path) -> None:
    """A Python that has the libraries but no SeaweedFS beside it."""
    python = tmp_path / "python"
    python.symlink_to(Path(sys.executable).resolve())
    code = (
        "from services.stack.servers import Servers; from pathlib import Path; Servers(Path()).s3()"
    )
    paths = [str(ROOT), next(path for path in sys.path if path.endswith("site-packages"))]
    done = subprocess.run(
        [python, "-c", code],
        env={"PYTHONPATH": os.pathsep.join(paths)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert "pip install 'reelpage[servers]'" in done.stderr

"""Kafka clients close to the last socket and thread, whatever their connections are doing."""

import gc
import os
import random
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from services.stack.servers import Broker
from services.topic.client import opened
from tests.fault_proxy import FaultProxy
from tests.servers import TopicFactory

_chance = random.Random(1)


@pytest.fixture
def proxy(broker: Broker) -> Iterator[FaultProxy]:
    with FaultProxy(broker.bootstrap, advertised=True) as proxy:
        yield proxy


def descriptors() -> Counter[str]:
    """How many there are of each kind; all sockets are one."""
    found: Counter[str] = Counter()
    for path in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # that of the folder itself
            found[str(path.readlink()).partition(":[")[0]] += 1
    return found


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """No thread, no descriptor, and no socket that only the garbage collector closed."""
    gc.collect()
    before = descriptors()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", ResourceWarning)
        yield
        gc.collect()
    assert [str(one.message) for one in warned] == []
    assert [one.name for one in threading.enumerate() if one.name.startswith("kafka-")] == []
    assert descriptors() - before == Counter()


def consumer(address: str, topic: str) -> KafkaConsumer:
    made = opened(
        KafkaConsumer,
        bootstrap_servers=address,
        enable_incremental_fetch_sessions=False,
        request_timeout_ms=4000,
    )
    made.assign([TopicPartition(topic, 0)])
    made.seek(TopicPartition(topic, 0), 0)
    return made


def test_a_consumer_that_is_closed_while_it_reads(broker: Broker, topic: TopicFactory) -> None:
    """Its thread is at work on large replies when another one closes its connections."""
    name = topic()
    producer = opened(KafkaProducer, bootstrap_servers=broker.bootstrap)
    for _ in range(4):
        producer.send(name, os.urandom(900_000))
    producer.close()
    for _ in range(20):
        reading = consumer(broker.bootstrap, name)
        reading.poll(0)
        time.sleep(_chance.uniform(0, 0.02))
        reading.close(autocommit=False)


def test_a_consumer_that_is_closed_while_it_connects(
    proxy: FaultProxy, topic: TopicFactory
) -> None:
    name = topic()
    for _ in range(5):
        reading = consumer(proxy.address, name)
        reading.poll(200)
        proxy.arm("reset", on="request", match=b"")
        with proxy.refusing():
            until = time.monotonic() + _chance.uniform(0.1, 0.4)
            while time.monotonic() < until:
                reading.poll(20)
            reading.close(autocommit=False)
        proxy.disarm()


@pytest.mark.parametrize("kind", [KafkaConsumer, KafkaProducer, KafkaAdminClient])
def test_a_client_that_finds_no_broker(proxy: FaultProxy, kind: Callable[..., object]) -> None:
    with proxy.refusing(), pytest.raises(KafkaError):
        opened(kind, bootstrap_servers=proxy.address, bootstrap_timeout_ms=500)

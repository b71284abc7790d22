"""Real servers for tests, as fixtures of `tests/conftest.py`.

Each test process starts its own servers, at the first test that asks for them.
"""

import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Protocol

import pytest
from kafka import KafkaAdminClient

from services.stack.servers import Broker, S3Server, Servers
from services.topic.client import opened


class TopicFactory(Protocol):
    def __call__(self, partitions: int = 1) -> str: ...


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Not started yet; `s3` and `broker` start what they need."""
    running = Servers(tmp_path_factory.mktemp("servers"))
    try:
        yield running
    finally:
        running.down(grace_s=0)


@pytest.fixture(scope="session")
def s3(servers: Servers) -> S3Server:
    return servers.s3()


@pytest.fixture(scope="session")
def broker(servers: Servers) -> Broker:
    return servers.broker()


@pytest.fixture
def bucket(s3: S3Server) -> str:
    """A new bucket, empty."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    s3.client().make_bucket(name)
    return name


@pytest.fixture
def topic(broker: Broker) -> TopicFactory:
    """Makes a new topic with so many partitions."""

    def make(partitions: int = 1) -> str:
        name = f"test-{uuid.uuid4().hex[:12]}"
        with closing(opened(KafkaAdminClient, bootstrap_servers=broker.bootstrap)) as admin:
            admin.create_topics(
                {name: {"num_partitions": partitions, "replication_factor": 1}},
                wait_for_metadata=True,
            )
        return name

    return make

"""Topic: jobs on Kafka, by kafka-python; positions live in the tables, Kafka's offset is a hint."""

import hashlib
import sys
from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import Any, Final

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import (
    AuthorizationError,
    KafkaError,
    SaslAuthenticationFailedError,
    TopicAlreadyExistsError,
)

from schemas.errors import SetupError, TransientError
from schemas.jobs import Job
from services.settings import Settings
from services.topic.client import opened
from services.topic.homes import home
from services.topic.record import Record

_TIMEOUT_MS: Final = 15_000
_RECONNECT_MS: Final = 2_000  # 30 s by default: a broker's restart would cost that long
_BOOTSTRAP_MS: Final = 5_000
PARTITIONS: Final = 4
"""Of a topic that we make."""
OFFSET_RESET: Final = "earliest"
"""Where a group begins that has committed nothing."""
LARGEST: Final = 20 << 20  # bytes of a record; inline payloads are base64


def connection(settings: Settings) -> dict[str, Any]:
    """What every client needs to reach the broker.

    Raises:
        SetupError: `usage`, if no broker is named.
    """
    if not settings.kafka:
        message = "no broker is named: set REELPAGE_KAFKA=HOST:PORT, or start one: reelpage up"
        raise SetupError("usage", message)
    values: dict[str, Any] = {
        "bootstrap_servers": settings.kafka.split(","),
        "security_protocol": settings.kafka_security,
        "request_timeout_ms": _TIMEOUT_MS,
        "reconnect_backoff_max_ms": _RECONNECT_MS,
        "bootstrap_timeout_ms": _BOOTSTRAP_MS,
    }
    if settings.kafka_ca:
        values["ssl_cafile"] = settings.kafka_ca
    if settings.kafka_mechanism:
        values |= {
            "sasl_mechanism": settings.kafka_mechanism,
            "sasl_plain_username": settings.kafka_user,
            "sasl_plain_password": settings.kafka_password,
        }
    return values


def consumer(settings: Settings, *, session_s: float) -> KafkaConsumer:
    """A member of the group, which reads nothing before it is told where from.

    Raises:
        SetupError: `broker_refused`.
        TransientError: `broker_failed`.
    """
    return reader(
        settings,
        group_id=settings.group,
        group_instance_id=settings.instance or None,
        partition_assignment_strategy=[CooperativeStickyAssignor],
        session_timeout_ms=round(session_s * 1000),
        heartbeat_interval_ms=round(session_s * 250),
    )


def reader(settings: Settings, **membership: Any) -> KafkaConsumer:  # noqa: ANN401 - kafka-python's
    """A consumer that reads jobs; to be closed, or to end with its process.

    A poll gives all that was fetched. Of a fetch that was taken in part, kafka-python puts the rest
    aside when its partition is paused, and takes it back only in a poll that finds no partition
    read out before; until then it does not fetch that partition, wherever it is sent by a seek.

    Raises:
        SetupError: `broker_refused`.
        TransientError: `broker_failed`.
    """
    with broker_errors(settings):
        return opened(
            KafkaConsumer,
            **connection(settings),
            **membership,
            auto_offset_reset=OFFSET_RESET,
            enable_auto_commit=False,
            isolation_level="read_committed",
            allow_auto_create_topics=False,
            # Every fetch says all that it wants: nothing depends on what a broker remembers.
            enable_incremental_fetch_sessions=False,
            max_partition_fetch_bytes=2 * LARGEST,
            max_poll_records=sys.maxsize,
        )


def partitions_of(asker: KafkaConsumer, settings: Settings) -> list[int]:
    """Numbers of the topic's partitions; a consumer that finds none is closed.

    Raises:
        SetupError: `topic_missing`, `broker_refused`.
        TransientError: `broker_failed`.
    """
    try:
        with broker_errors(settings):
            found = asker.partitions_for_topic(settings.topic)
        if found:  # some brokers say None, some say that it has none
            return sorted(found)
        message = (
            f"{settings.kafka}: there is no topic {settings.topic!r}; make it, or let "
            "`reelpage submit` make it"
        )
        raise SetupError("topic_missing", message)
    except BaseException:
        asker.close(autocommit=False)
        raise


def make_topic(settings: Settings, partitions: int) -> None:
    """Make the topic of jobs unless it is there.

    Raises:
        SetupError: `broker_refused`.
        TransientError: `broker_failed`.
    """
    spec = {"num_partitions": partitions, "replication_factor": -1}
    with broker_errors(settings), closing(_admin(settings)) as admin:
        if settings.topic in admin.list_topics():
            return
        try:
            admin.create_topics({settings.topic: spec}, wait_for_metadata=True)
        except TopicAlreadyExistsError:
            return


def _admin(settings: Settings) -> KafkaAdminClient:
    return opened(KafkaAdminClient, **connection(settings))


class Sender:
    """Produces jobs, keyed so that the same work always comes to the same partition."""

    def __init__(self, settings: Settings) -> None:
        """Connect.

        Raises:
            SetupError: `broker_refused`.
            TransientError: `broker_failed`.
        """
        self._settings = settings
        with broker_errors(settings):
            # A job that is sent twice is indexed once, so nothing depends on idempotence, which
            # some brokers get wrong after a crash.
            self._producer: KafkaProducer = opened(
                KafkaProducer,
                **connection(settings),
                acks="all",
                enable_idempotence=False,
                max_request_size=2 * LARGEST,
                linger_ms=5,
            )

    def send(self, jobs: Iterable[tuple[str, Job]], partitions: int = 0) -> list[tuple[int, int]]:
        """Send jobs with their keys and wait until the broker has them all.

        Args:
            jobs: each goes to its home.
            partitions: that homes are counted by; 0 for all that the topic has.

        Returns:
            Partition and offset of each.

        Raises:
            TransientError: `broker_failed`; some may have been stored.
        """
        with broker_errors(self._settings):
            count = partitions or len(self._producer.partitions_for(self._settings.topic))
            sent = [
                self._producer.send(
                    self._settings.topic,
                    job.to_json().encode(),
                    key=key.encode(),
                    partition=home(key, job, count),
                )
                for key, job in jobs
            ]
            self._producer.flush(timeout=_TIMEOUT_MS / 1000)
            stored = [one.get(timeout=_TIMEOUT_MS / 1000) for one in sent]
        return [(one.partition, one.offset) for one in stored]

    def close(self) -> None:
        """Let the broker go."""
        self._producer.close(timeout=_TIMEOUT_MS / 1000)


def records(
    fetched: Mapping[TopicPartition, list[Any]],
) -> Iterable[tuple[int, list[Record]]]:
    """What a poll gave, by partition."""
    for place, found in fetched.items():
        yield (
            place.partition,
            [
                Record(
                    place.partition,
                    one.offset,
                    (one.key or b"").decode(errors="replace") or _digest(one.value or b""),
                    one.timestamp,
                    one.value or b"",
                )
                for one in found
            ],
        )


def _digest(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()


class broker_errors:
    """Turn what kafka-python raises into one line with the remedy."""

    def __init__(self, settings: Settings) -> None:
        self._where = f"{settings.kafka} (topic {settings.topic})"

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, AuthorizationError | SaslAuthenticationFailedError):
            message = f"{self._where}: the broker refused {type(error).__name__}; check the user"
            raise SetupError("broker_refused", message) from error
        if isinstance(error, KafkaError | OSError):
            reason = str(error) or type(error).__name__
            message = f"{self._where}: the broker does not answer ({reason}); is it running?"
            raise TransientError("broker_failed", message) from error

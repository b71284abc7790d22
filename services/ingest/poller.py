"""Poller: the consumer of an ingest worker, used by one thread, and what it tells the board."""

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.errors import IllegalStateError, KafkaError
from kafka.structs import OffsetAndMetadata

from pipeline.land.window import LogError
from services.ingest.backlog import Backlog
from services.ingest.board import Board
from services.ingest.partition import Partition
from services.settings import Settings
from services.topic.broker import broker_errors, consumer, partitions_of, records
from services.topic.record import Record

log = logging.getLogger(__name__)

SESSION_S: Final = 10.0
"""A worker that is silent for so long loses its partitions."""
_POLL_MS: Final = 200
_COMMIT_S: Final = 2.0


class Poller:
    """The consumer; used by one thread. `partitions` is how many the topic has.

    It never leaves the group with a word: the process ends, and its partitions move when its
    session does. So a worker that starts again soon causes one rebalance, not two; and some
    brokers hang a group for good whose member leaves in the middle of a rebalance.
    """

    def __init__(self, settings: Settings, board: Board) -> None:
        """Join the group.

        Raises:
            SetupError: `broker_refused`, `topic_missing`.
            TransientError: `broker_failed`.
        """
        self._topic, self._board = settings.topic, board
        self._changes, self._errors = _Changes(), broker_errors(settings)
        self._backlog = Backlog()
        self._consumer: KafkaConsumer = consumer(settings, session_s=SESSION_S)
        self.partitions = len(partitions_of(self._consumer, settings))
        self._consumer.subscribe([settings.topic], listener=self._changes)
        self._committed: dict[int, int] = {}
        self._next: dict[int, int] = {}
        self._commit_at = 0.0

    def poll(self, *, fetch: bool = True) -> None:
        """Heartbeat, follow rebalances, and let fetched records into their windows.

        Raises:
            SetupError: `broker_refused`.
            TransientError: `broker_failed`; poll again.
        """
        with self._errors:
            fetched = self._consumer.poll(timeout_ms=_POLL_MS)
        self._follow()
        for number, found in records(fetched):
            self._add(number, found)
        self._backlog.keep([one.number for one in self._board.open() if one.reading])
        if fetch:
            self._backlog.give(self._board)
        for partition in self._board.open():
            self._check(partition)
        self._pause(everything=not fetch)
        if time.monotonic() >= self._commit_at:
            self.commit()

    def commit(self) -> None:
        """Commit Kafka's offsets. They are a hint for lag: a failure is no harm."""
        self._commit_at = time.monotonic() + _COMMIT_S
        offsets = self._board.committed()
        if offsets == self._committed:
            return
        places = {self._place(n): OffsetAndMetadata(o, "", -1) for n, o in offsets.items()}
        try:
            self._consumer.commit(places, timeout_ms=5000)
            self._committed = offsets
        except KafkaError as error:
            log.info("offsets are committed later: %s", error)

    def _place(self, number: int) -> TopicPartition:
        return TopicPartition(self._topic, number)

    def _follow(self) -> None:
        """Tell the board of partitions that went or came."""
        gone, come = self._changes.take()
        self._board.revoke(gone)
        for number in sorted(come):
            place = self._place(number)
            try:
                self._consumer.pause(place)
                first = self._consumer.beginning_offsets([place])[place]
                self._board.assign(number, first)
                log.info("partition %d assigned, its log begins at %d", number, first)
            except IllegalStateError:
                continue  # it went again
            except KafkaError as error:
                log.warning("partition %d: the broker does not say its start: %s", number, error)
                self._changes.again(number)

    def _add(self, number: int, found: Sequence[Record]) -> None:
        """Let fetched records wait, unless others have expired before them."""
        first, wanted = found[0].offset, self._next.get(number, 0)
        if first > wanted and not self._is_kept(number, wanted):
            return
        self._next[number] = found[-1].offset + 1
        self._backlog.add(number, found)

    def _is_kept(self, number: int, wanted: int) -> bool:
        """Whether the log still begins before an offset that did not come.

        Where a record has expired the client goes on at the log's beginning and says nothing; but
        transactions leave gaps as well.
        """
        place = self._place(number)
        partitions = [one for one in self._board.open() if one.number == number]
        try:
            start = self._consumer.beginning_offsets([place])[place]
            for partition in partitions:
                partition.check_start(wanted, start)
        except LogError as error:
            self._board.stop(number, error)
        except KafkaError as error:
            log.warning("partition %d is fetched again: %s", number, error)
            for partition in partitions:
                partition.reading = False
        else:
            return True
        return False

    def _check(self, partition: Partition) -> None:
        """Send the consumer where the tables stand; compare the log's end with them."""
        place = self._place(partition.number)
        with suppress(IllegalStateError):
            if not partition.reading:
                self._seek(place, partition)
                return
            end = self._consumer.highwater(place)
            try:
                if end is not None and end >= 0:
                    partition.check_end(end)
            except LogError as error:
                self._board.stop(partition.number, error)

    def _seek(self, place: TopicPartition, partition: Partition) -> None:
        self._consumer.seek(place, partition.fetch)
        self._next[partition.number] = partition.fetch
        self._backlog.drop(partition.number)
        partition.reading = True
        log.info("partition %d goes on at %d", partition.number, partition.fetch)

    def _pause(self, *, everything: bool) -> None:
        paused = self._board.paused() | self._backlog.numbers()
        for place in self._consumer.assignment():
            with suppress(IllegalStateError):
                if everything or place.partition in paused:
                    self._consumer.pause(place)
                else:
                    self._consumer.resume(place)


class _Changes(ConsumerRebalanceListener):  # type: ignore[misc]
    """What rebalances changed; the consumer's own thread tells it, the poller takes it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gone: set[int] = set()
        self._come: set[int] = set()

    def on_partitions_revoked(self, revoked: Any) -> None:  # noqa: ANN401
        """Partitions go to another worker."""
        with self._lock:
            numbers = {place.partition for place in revoked}
            self._gone |= numbers
            self._come -= numbers

    on_partitions_lost = on_partitions_revoked

    def on_partitions_assigned(self, assigned: Any) -> None:  # noqa: ANN401
        """Partitions come to this worker."""
        with self._lock:
            self._come |= {place.partition for place in assigned}

    def again(self, number: int) -> None:
        """Give a partition out once more."""
        with self._lock:
            self._come.add(number)

    def take(self) -> tuple[set[int], set[int]]:
        """Partitions that went, and those that came, since the last call."""
        with self._lock:
            gone, come = self._gone, self._come
            self._gone, self._come = set(), set()
            return gone, come

"""Log: a topic read from outside the group, by those who look at it and work on nothing."""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from kafka import TopicPartition

from schemas.errors import TransientError
from services.settings import Settings
from services.topic.broker import broker_errors, partitions_of, reader, records
from services.topic.record import Record

_POLL_MS: Final = 200
_PATIENCE_S: Final = 20.0


@dataclass(frozen=True)
class Bounds:
    """Offsets of a partition's log.

    Attributes:
        start: of the first record that the broker keeps.
        end: behind the last one.
    """

    start: int
    end: int


class Log:
    """A topic's partitions. Close it."""

    def __init__(self, settings: Settings) -> None:
        """Connect.

        Raises:
            SetupError: `broker_refused`, `topic_missing`.
            TransientError: `broker_failed`.
        """
        self._settings = settings
        self._consumer = reader(settings, group_id=None)
        self.numbers = partitions_of(self._consumer, settings)

    def close(self) -> None:
        """Let the broker go."""
        self._consumer.close(autocommit=False)

    def bounds(self, read_to: Mapping[int, int]) -> dict[int, Bounds]:
        """Starts and ends of all partitions.

        The end comes with a fetch: what `end_offsets` says stays behind on some brokers.

        Args:
            read_to: offsets, by partition, from which on there is little to fetch.

        Raises:
            TransientError: `broker_failed`.
        """
        with broker_errors(self._settings):
            starts = self._consumer.beginning_offsets([self._place(n) for n in self.numbers])
            begin = {n: starts[self._place(n)] for n in self.numbers}
            self._seek({n: max(begin[n], read_to.get(n, 0)) for n in self.numbers})
            waiting, give_up = set(self.numbers), time.monotonic() + _PATIENCE_S
            while waiting:
                self._check(give_up)
                self._consumer.poll(timeout_ms=_POLL_MS)
                for number in list(waiting):
                    if self._end(number) is not None:
                        self._consumer.pause(self._place(number))
                        waiting.discard(number)
            return {n: Bounds(begin[n], self._end(n) or 0) for n in self.numbers}

    def read(self, wanted: Mapping[int, Bounds]) -> Iterator[Record]:
        """The records between two offsets of each partition, in the order of each.

        Raises:
            TransientError: `broker_failed`.
        """
        left = {number: one.end for number, one in wanted.items() if one.start < one.end}
        with broker_errors(self._settings):
            self._seek({number: wanted[number].start for number in left})
            give_up = time.monotonic() + _PATIENCE_S
            while left:
                self._check(give_up)
                for number, found in records(self._consumer.poll(timeout_ms=_POLL_MS)):
                    yield from (one for one in found if one.offset < wanted[number].end)
                    give_up = time.monotonic() + _PATIENCE_S
                for number in list(left):  # the position also passes what transactions left
                    if self._consumer.position(self._place(number)) >= left[number]:
                        self._consumer.pause(self._place(number))
                        del left[number]

    def _place(self, number: int) -> TopicPartition:
        return TopicPartition(self._settings.topic, number)

    def _seek(self, offsets: Mapping[int, int]) -> None:
        self._consumer.assign([self._place(number) for number in offsets])
        for number, offset in offsets.items():
            self._consumer.resume(self._place(number))
            self._consumer.seek(self._place(number), offset)

    def _end(self, number: int) -> int | None:
        end: int | None = self._consumer.highwater(self._place(number))
        return None if end is None or end < 0 else end

    def _check(self, give_up: float) -> None:
        if time.monotonic() > give_up:
            message = f"{self._settings.kafka}: a fetch has brought nothing for {_PATIENCE_S:.0f} s"
            raise TransientError("broker_failed", message)


def open_log(settings: Settings) -> "closing[Log]":
    """A log that closes behind a `with`."""
    return closing(Log(settings))

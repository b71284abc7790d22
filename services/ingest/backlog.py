"""Backlog: fetched records that wait until the window of their partition has room."""

from collections import deque
from collections.abc import Container, Iterable
from typing import Final

from services.ingest.board import Board
from services.topic.record import Record

_AT_ONCE: Final = 8  # a window may hold one less than this beyond its bound


class Backlog:
    """What was fetched of each partition and is not in its window yet; used by one thread.

    The client must keep nothing back when a partition is paused: `services.topic.broker.reader`.
    """

    def __init__(self) -> None:
        """Nothing waits."""
        self._waiting: dict[int, deque[Record]] = {}

    def add(self, number: int, records: Iterable[Record]) -> None:
        """Put a partition's records behind those that wait."""
        self._waiting.setdefault(number, deque()).extend(records)

    def drop(self, number: int) -> None:
        """Forget a partition's records; they are fetched again."""
        self._waiting.pop(number, None)

    def keep(self, numbers: Container[int]) -> None:
        """Forget the records of all other partitions."""
        self._waiting = {n: some for n, some in self._waiting.items() if n in numbers}

    def numbers(self) -> set[int]:
        """Partitions of which records wait."""
        return set(self._waiting)

    def give(self, board: Board) -> None:
        """Let records into the windows while these have room."""
        for number in self._waiting.keys() - board.paused():
            waiting = self._waiting[number]
            while waiting and number not in board.paused():
                count = min(_AT_ONCE, len(waiting))
                board.take(number, [waiting.popleft() for _ in range(count)])
            if not waiting:
                del self._waiting[number]

"""Prefetch: run a generator in a thread, ahead of its consumer by a bounded number of bytes."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Prefetch(Generic[T]):
    """Iterates over `source` while a thread fills a queue bounded by bytes, never by items.

    One item larger than the bound is let through alone. An exception in the source is raised
    at the consumer, after the items before it. `close` ends the thread and closes the source.
    """

    def __init__(
        self, source: Generator[T, None, None], size: Callable[[T], int], max_bytes: int
    ) -> None:
        self._source = source
        self._size = size
        self._max_bytes = max_bytes
        self._items: deque[T] = deque()
        self._bytes = 0
        self._done = False
        self._stop = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._fill, name="prefetch", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._items or self._done)
                if not self._items:
                    break
                item = self._items.popleft()
                self._bytes -= self._size(item)
                self._changed.notify_all()
            yield item
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Stop the thread, and wait until the source has closed what it holds."""
        with self._changed:
            self._stop = True
            self._changed.notify_all()
        self._thread.join()

    def _fill(self) -> None:
        try:
            for item in self._source:
                if not self._put(item):
                    break
        except BaseException as error:  # noqa: BLE001 - handed to the consumer's thread
            self._error = error
        finally:
            self._source.close()
            with self._changed:
                self._done = True
                self._changed.notify_all()

    def _put(self, item: T) -> bool:
        size = self._size(item)
        with self._changed:
            self._changed.wait_for(
                lambda: self._stop or not self._items or self._bytes + size <= self._max_bytes
            )
            if self._stop:
                return False
            self._items.append(item)
            self._bytes += size
            self._changed.notify_all()
            return True

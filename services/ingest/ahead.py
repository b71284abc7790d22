"""Ahead: parts of jobs are asked about while those behind them, and other media, are read.

What comes of them comes in their order, and so does what goes wrong. Each is asked about in a
thread of its own; the bytes of all pictures that are asked about are bounded.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from schemas.shards import Shard

ROOM: Final = 256 << 20
"""Bytes of pixels that are asked about at a time: 90 frames of 720p."""
_CHANNELS: Final = 3

Item = TypeVar("Item")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Pending(Protocol[T_co]):
    """What will be there."""

    def done(self) -> bool:
        """Whether it is there, or will never be."""

    def result(self) -> T_co:
        """Wait for it.

        Raises:
            Exception: why it will never be there.
        """


@dataclass(frozen=True)
class Asked(Generic[T]):
    """A part that is being asked about."""

    shard: Shard
    answer: Pending[T]


class Turns:
    """So many media are read at a time; the others wait, without a copy of their own."""

    def __init__(self, count: int) -> None:
        self._free = threading.Semaphore(count)

    @contextmanager
    def hold(self) -> Iterator[Callable[[], None]]:
        """Have a turn while the block runs, or until what is given has been called."""
        self._free.acquire()
        with ExitStack() as turn:
            turn.callback(self._free.release)
            yield turn.close


class Ahead:
    """Threads for what is asked about parts; for the jobs of one worker."""

    def __init__(self, parts: int, room: int = ROOM) -> None:
        """None runs yet.

        Args:
            parts: of one job that are asked about at a time.
            room: bytes of pixels, of all jobs; what is larger goes alone.
        """
        self.parts = parts
        self._room, self._held = room, 0
        self._changed = threading.Condition()

    def begin(self, shard: Shard, work: Callable[[], T]) -> Pending[T]:
        """Begin with what is asked about a shard, once there is room for its pictures."""
        size = _pixels(shard)
        with self._changed:
            self._changed.wait_for(lambda: not self._held or self._held + size <= self._room)
            self._held += size
        future: Future[T] = Future()
        threading.Thread(target=self._do, args=(work, size, future), daemon=True).start()
        return future

    def _do(self, work: Callable[[], T], size: int, future: "Future[T]") -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            self._free(size)
            future.set_exception(error)
        else:
            self._free(size)
            future.set_result(result)

    def _free(self, size: int) -> None:
        with self._changed:
            self._held -= size
            self._changed.notify_all()


def there(result: T) -> Pending[T]:
    """What need not be waited for."""
    future: Future[T] = Future()
    future.set_result(result)
    return future


def in_turn(
    items: Iterable[Item], ask: Callable[[Item], Asked[T] | None], most: int
) -> Iterator[Item | Asked[T] | None]:
    """Items in their order; those that are asked about come once they are answered.

    None stands before what comes when another part is known to follow those that came.

    Args:
        items: as they are read; an error of theirs comes behind all that was read before.
        ask: begins to ask about an item; None if there is nothing to wait for.
        most: items that are asked about at a time.
    """
    flight: deque[Item | Asked[T] | Exception] = deque()
    for item in _or_error(items, ask):
        if isinstance(item, Asked):
            yield None
        flight.append(item)
        while flight and _may_come(flight, most):
            yield from _coming(flight)
    while flight:
        yield from _coming(flight)


def _or_error(
    items: Iterable[Item], ask: Callable[[Item], Asked[T] | None]
) -> Iterator[Item | Asked[T] | Exception]:
    """Items, asked about where that is to be; the error that ends them is the last."""
    try:
        for item in items:
            yield ask(item) or item
    except Exception as error:  # noqa: BLE001 - raised when its turn has come
        yield error


def _may_come(flight: "deque[Item | Asked[T] | Exception]", most: int) -> bool:
    first = flight[0]
    asked = sum(isinstance(one, Asked) for one in flight)
    return not isinstance(first, Asked) or first.answer.done() or asked > most


def _coming(flight: "deque[Item | Asked[T] | Exception]") -> Iterator[Item | Asked[T] | None]:
    """The first; behind a part, word of another one.

    Raises:
        Exception: the first is an error.
    """
    first = flight.popleft()
    if isinstance(first, Exception):
        raise first
    yield first
    if isinstance(first, Asked) and any(isinstance(one, Asked) for one in flight):
        yield None


def _pixels(shard: Shard) -> int:
    sides = (shard.rows.column(name).to_pylist() for name in ("width", "height"))
    return sum(width * height * _CHANNELS for width, height in zip(*sides, strict=True))

"""What is asked about parts ahead of their turn comes in its turn, and is bounded."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future

import pyarrow as pa
import pytest

from schemas.shards import FRAMES, Shard
from services.ingest.ahead import Ahead, Asked, Turns, in_turn

SIDE = 10


def shard(part: int) -> Shard:
    times = {"pts": part, "time_base_num": 1, "time_base_den": 1, "t_us": part}
    picture = {"width": SIDE, "height": SIDE, "phash": 0, "is_blank": False, "image": b""}
    row = {"frame_no": part, **times, "is_key": True, **picture}
    return Shard(part, part, part + 1, pa.RecordBatch.from_pylist([row], schema=FRAMES))


class Parts:
    """Numbers that are read, of which those of parts are asked about."""

    def __init__(self, *items: str | int | Exception) -> None:
        self.items, self.asked = items, list[Future[str]]()

    def read(self) -> Iterator[str | int]:
        for item in self.items:
            if isinstance(item, Exception):
                raise item
            yield item

    def ask(self, item: str | int) -> Asked[str] | None:
        if isinstance(item, str):
            return None
        self.asked.append(Future())
        return Asked(shard(item), self.asked[-1])

    def come(self, most: int) -> Iterator[str | int | None]:
        for item in in_turn(self.read(), self.ask, most):
            yield item.shard.part if isinstance(item, Asked) else item


def test_all_comes_in_its_order_and_parts_when_another_must_be_asked() -> None:
    parts = Parts("facts", 0, "warning", 1, 2, "end")
    come = parts.come(2)
    assert [next(come) for _ in range(4)] == ["facts", None, None, None]
    assert next(come) == 0
    assert len(parts.asked) == 3
    assert list(come) == [None, "warning", 1, None, 2, "end"]


def test_what_is_answered_comes_at_once() -> None:
    parts = Parts(0, 1)
    come = parts.come(9)
    next(come)
    parts.asked[0].set_result("seen")
    assert next(come) == 0
    assert len(parts.asked) == 1


def test_an_error_comes_behind_what_was_read_before() -> None:
    come = Parts(0, "warning", KeyError(1)).come(9)
    assert [next(come) for _ in range(3)] == [None, 0, "warning"]
    with pytest.raises(KeyError):
        next(come)


def test_pictures_that_have_no_room_wait() -> None:
    ahead, may_end = Ahead(9, room=2 * SIDE * SIDE * 3), threading.Event()
    begun: list[int] = []

    def work(part: int) -> int:
        begun.append(part)
        may_end.wait()
        return part

    def begin() -> None:
        given.extend(ahead.begin(shard(n), lambda n=n: work(n)) for n in range(3))  # type: ignore[misc]

    given: list[Future[int]] = []
    thread = threading.Thread(target=begin)
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()
    assert sorted(begun) == [0, 1]
    may_end.set()
    thread.join()
    assert [one.result() for one in given] == [0, 1, 2]


def test_an_error_is_raised_where_it_is_waited_for_and_gives_its_room_back() -> None:
    ahead = Ahead(1, room=1)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            ahead.begin(shard(0), lambda: 1 // 0).result()


def test_a_turn_ends_once() -> None:
    turns = Turns(1)
    with turns.hold() as end:
        end()
        end()
        with turns.hold():
            assert not turns._free.acquire(blocking=False)
    assert turns._free.acquire(blocking=False)
    assert not turns._free.acquire(blocking=False)

"""Ahead: parts of a medium are asked about while those behind them are read.

So the model has several parts of a long medium to batch. They come in their order, whichever is
answered first, and so does what goes wrong.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass

from schemas.errors import ReelpageError
from schemas.shards import Decoded, MediaInfo, MediaWarning, PageFailure, Shard
from services.ingest.asked import AskedRows
from services.ingest.begin import Begun, Room


@dataclass(frozen=True)
class Asked:
    """A part that is kept and about which the model is asked.

    Attributes:
        shard: the part.
        rows: of `lines` and `answers`; None where nothing is asked.
    """

    shard: Shard
    rows: Begun[AskedRows] | None

    def is_there(self) -> bool:
        """Whether nobody has to wait for it."""
        return self.rows is None or self.rows.done()


Item = MediaInfo | MediaWarning | PageFailure | Asked


def ahead(
    items: Iterable[Decoded],
    ask: Callable[[Shard], Begun[AskedRows] | None],
    room: Room,
    has_read: Callable[[], None],
) -> Generator[Item]:
    """The items in their order; a part comes once it is answered, or has to be waited for.

    What is asked when this is closed is left off, and waited for.

    Args:
        items: as they are read; an error of theirs comes behind all that was read before.
        ask: begins to ask about a part.
        room: for what is asked about at a time.
        has_read: called when all has been read, before the last part comes.
    """
    behind: deque[Item] = deque()
    fault: ReelpageError | None = None
    try:
        try:
            for item in items:
                if isinstance(item, Shard):
                    while _are_enough(behind, room):
                        yield from _first(behind, room)
                    room.add(item.rows.nbytes)
                    behind.append(Asked(item, ask(item)))
                else:
                    behind.append(item)
                while behind and not _is_awaited(behind[0]):
                    yield from _first(behind, room)
        except ReelpageError as error:
            fault = error
        has_read()
        while behind:
            yield from _first(behind, room)
        if fault is not None:
            raise fault
    finally:
        left = [one for one in behind if isinstance(one, Asked)]
        _leave([one.rows for one in left if one.rows])
        room.add(-sum(one.shard.rows.nbytes for one in left))


def _are_enough(behind: Iterable[Item], room: Room) -> bool:
    count = sum(isinstance(one, Asked) for one in behind)
    return count >= room.parts or (count > 0 and room.is_full())


def _first(behind: deque[Item], room: Room) -> Iterator[Item]:
    """The first one; it has its place until the next is wanted."""
    first = behind[0]
    yield first
    behind.popleft()
    if isinstance(first, Asked):
        room.add(-first.shard.rows.nbytes)


def _is_awaited(item: Item) -> bool:
    return isinstance(item, Asked) and not item.is_there()


def _leave(begun: Sequence[Begun[object]]) -> None:
    """Leave off, all at the same time: what nobody waits for must not go on by itself."""
    for one in begun:
        one.drop()
    for one in begun:
        one.wait()

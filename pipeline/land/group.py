"""Group: what several workers want to append to one table, in one commit, as effects.

Like the protocol these are generators, so that the committer with real tables and the simulator
with faults between any two effects run the same code.
"""

import json
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

ATTEMPTS: Final = 8

Positions = Mapping[str, int | None]


@dataclass(frozen=True)
class Intent:
    """What one worker wants to append.

    Attributes:
        expected: what the table held when the worker looked; None where it held nothing.
        positions: what it is to hold, for the same application ids.
        rows: a table, a data file that is stored, or what the simulator takes for rows; or None.
    """

    expected: Positions
    positions: Mapping[str, int]
    rows: Any = None


@dataclass(frozen=True)
class Read:
    """Read positions from the table's handle. Reply: `Positions`, or None if the store is silent.

    Args:
        reload: whether to bring the handle up to date first; else it is used as it is.
    """

    apps: frozenset[str]
    reload: bool


@dataclass(frozen=True)
class Write:
    """Commit intents through **the handle of the last `Read`**, untouched since.

    Reply: whether the commit was acknowledged. False says nothing: it may be stored all the same.
    """

    intents: tuple[Intent, ...]


@dataclass(frozen=True)
class Wait:
    """Give others their turn before attempt number `attempt`; nothing is held meanwhile."""

    attempt: int


Step = Read | Write | Wait
_I = TypeVar("_I", bound=Intent)


def take(waiting: Sequence[_I]) -> list[_I]:
    """The intents that may share a commit: of two for the same application id, only the first."""
    taken: list[_I] = []
    busy: set[str] = set()
    for intent in waiting:
        if busy.isdisjoint(intent.positions):
            taken.append(intent)
        busy |= set(intent.positions)
    return taken


def settle(intents: Sequence[Intent]) -> Generator[Step, Any, list[bool | None]]:
    """Append what can be appended.

    A failed commit is no failure before the log says so: its acknowledgement may have been lost.
    So every attempt begins with the table's own positions.

    Args:
        intents: that share no application id.

    Returns:
        For each, True: it is in the table. False: the table has gone on without this worker, who
        has to look again. None: no attempt was acknowledged, it may be there or not.
    """
    apps = frozenset(app for intent in intents for app in intent.positions)
    settled: dict[int, bool] = {}
    for attempt in range(ATTEMPTS):
        if attempt:
            yield Wait(attempt)
        held: Positions | None = yield Read(apps, reload=attempt > 0)
        if held is None:
            continue
        for place, intent in enumerate(intents):
            if place not in settled and (known := verdict(intent, held)) is not None:
                settled[place] = known
        left = [place for place in range(len(intents)) if place not in settled]
        if not left or (yield Write(tuple(intents[place] for place in left))):
            settled |= dict.fromkeys(left, True)
            break
    return [settled.get(place) for place in range(len(intents))]


def verdict(intent: Intent, held: Positions) -> bool | None:
    """What a table that holds these positions says to an intent; None: it may be written."""
    if _are(intent.positions, held):
        return True
    return None if _are(intent.expected, held) else False


def positions_of(intents: Iterable[Intent]) -> dict[str, int]:
    """What a table holds once they are in it."""
    return {app: place for intent in intents for app, place in intent.positions.items()}


def identity_of(positions: Mapping[str, int]) -> str:
    """What tells apart equal rows that land at different positions."""
    return json.dumps(sorted(positions.items()))


def _are(wanted: Positions, held: Positions) -> bool:
    return all(held[app] == place for app, place in wanted.items())

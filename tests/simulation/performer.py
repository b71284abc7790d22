"""Performer: the protocol's effects on the simulated store and tables."""

from collections.abc import Sequence

from pipeline.land.perform import Performer
from pipeline.land.protocol import (
    RECORDS,
    Advance,
    Batch,
    Commit,
    Delete,
    Effect,
    Get,
    Look,
    Marker,
    Put,
)
from pipeline.land.records import markers_of, markers_to_bytes
from pipeline.land.window import is_final, offset_of
from tests.simulation.lander import Held, LanderTables, OwnTables
from tests.simulation.world import Clock, Remote

AnyTables = OwnTables | LanderTables


class VirtualPerformer(Performer):
    """The real one, but batches and rows stay what they are: neither Arrow nor Parquet."""

    def __init__(self, name: str, clock: Clock, tables: AnyTables, store: Remote) -> None:
        super().__init__(tables, store)
        self._name, self._clock = name, clock
        self._rows, self._store = tables, store

    def _perform(self, effect: Effect, seen: dict[str, Held]) -> object:
        self._clock.trace(f"{self._name}   {describe(effect)}")
        match effect:
            case Commit(table, positions, rows):
                return self._rows.commit(table, seen[table], positions, rows)
            case Put(name, Batch() as batch):
                self._store.put(name, batch)
                return None
            case Get(name) if name.startswith(RECORDS):
                return self._store.get(name)
            case _:
                return super()._perform(effect, seen)


class Careless(VirtualPerformer):
    """`back`: markers are stored whatever is there, so that one who was paused puts old ones."""

    def _advance(self, name: str, markers: Sequence[Marker]) -> None:
        data = self._store.get(name)
        held = {} if data is None else markers_of(name, data)
        after = held | {marker.column: marker for marker in markers}
        self._store.put(name, markers_to_bytes(after))


def describe(effect: Effect) -> str:
    match effect:
        case Look(table, apps, reload):
            return f"look {table} {apps[0]} reload={reload}"
        case Commit(table, positions, rows):
            places = {app: show(p) for app, p in positions.items() if not app.endswith("#record")}
            return f"commit {table} {places} {len(rows)} rows"
        case Advance(name, markers):
            said = [f"{one.column}={one.outcome} {one.parts}@{one.attempt}" for one in markers]
            return f"advance {name} {said}"
        case Put(name) | Get(name) | Delete(name):
            return f"{type(effect).__name__.lower()} {name}"


def show(position: int | None) -> str:
    if position is None:
        return "the beginning"
    return f"{offset_of(position)}.{'end' if is_final(position) else position & 0xFFFFF}"

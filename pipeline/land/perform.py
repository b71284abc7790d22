"""Perform: the protocol's effects, on real tables and objects."""

from collections.abc import Sequence
from typing import Final, TypeVar

from pipeline.land.commit import Tables
from pipeline.land.place import Objects
from pipeline.land.protocol import (
    Advance,
    Commit,
    Delete,
    Effect,
    Get,
    Look,
    Marker,
    Put,
    Steps,
    advanced,
)
from pipeline.land.records import from_bytes, markers_of, markers_to_bytes, to_bytes
from schemas.errors import TransientError

T = TypeVar("T")
_ATTEMPTS: Final = 16
_Seen = dict[str, dict[str, int | None]]


class Performer:
    """Runs generators of effects; for any number of threads at a time.

    The tables' handles may be in another process. What a `Look` has told is what the next `Commit`
    to that table expects, and the committer holds its own handle against it.
    """

    def __init__(self, tables: Tables, objects: Objects) -> None:
        self._tables, self._objects = tables, objects

    def run(self, steps: Steps[T]) -> T:
        """Perform effects to the end; an effect that fails raises at its yield.

        Raises:
            TransientError: what the generator does not catch; run the same call anew.
            SetupError: no second attempt helps.
        """
        seen: _Seen = {}
        try:
            effect = next(steps)
            while True:
                try:
                    reply = self._perform(effect, seen)
                except Exception as error:  # noqa: BLE001 - the generator's to handle
                    effect = steps.throw(error)
                else:
                    effect = steps.send(reply)
        except StopIteration as stop:
            result: T = stop.value
            return result

    def _perform(self, effect: Effect, seen: _Seen) -> object:
        match effect:
            case Look(table, apps, reload):
                seen[table] = self._tables.look(table, apps, reload=reload)
                return seen[table]
            case Commit(table, positions, rows):
                some = rows if rows.num_rows else None
                return self._tables.commit(table, seen[table], positions, some)
            case Put(name, value):
                self._objects.put(name, to_bytes(value))
            case Advance(name, markers):
                self._advance(name, markers)
            case Get(name):
                data = self._objects.get(name)
                return None if data is None else from_bytes(name, data)
            case Delete(name):
                self._objects.delete(name)
        return None

    def _advance(self, name: str, markers: Sequence[Marker]) -> None:
        for _ in range(_ATTEMPTS):
            data, version = self._objects.get_version(name)
            held = {} if data is None else markers_of(name, data)
            after = advanced(held, markers)
            if after == held or self._objects.replace(name, markers_to_bytes(after), version):
                return
        message = f"{name}: {_ATTEMPTS} writers got in between; tried again later"
        raise TransientError("commit_conflict", message)

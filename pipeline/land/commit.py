"""Commit: many workers' intents, a few commits; each checked and written through one handle.

Delta does not compare positions: what refuses a competitor is that a handle which has not seen his
commit may not write. So a table has one handle here, its check and its write are one step under
its lock, and nothing opens the table again in between.
"""

import random
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeAlias

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from pipeline.land.group import (
    Intent,
    Read,
    Step,
    Wait,
    Write,
    identity_of,
    positions_of,
    settle,
    take,
)
from pipeline.land.parquet import DataFile, write_file
from pipeline.land.place import Place
from pipeline.land.store import disk_errors
from pipeline.land.tables import append, open_or_create, raise_if_hopeless, reason, versions
from schemas.errors import TransientError
from schemas.tables import TABLES

GATHERS_S: Final = 0.1
"""How long a lander of several waits for more before it commits."""


Rows: TypeAlias = pa.Table | DataFile | None
"""What is appended: rows, which share a file with those of others, or a file that is stored."""


class Tables(Protocol):
    """What a worker asks of the tables; both may raise SetupError for a disk or a log."""

    def look(self, table: str, apps: Sequence[str], *, reload: bool) -> dict[str, int | None]:
        """Positions of application ids; None where nothing has landed.

        Args:
            table: a name in `TABLES`.
            apps: application ids.
            reload: whether to read the log first; else they may be out of date.

        Raises:
            TransientError: `store_failed`.
        """

    def commit(
        self,
        table: str,
        expected: Mapping[str, int | None],
        positions: Mapping[str, int],
        rows: Rows,
    ) -> bool:
        """Append rows, and move application ids from where they are expected to positions.

        Args:
            table: a name in `TABLES`.
            expected: as a `look` has given them, for all ids in `positions`.
            positions: where they are to be.
            rows: at least one, or None.

        Returns:
            Whether the table holds it, from now on or from before. False: the positions are not
            the expected ones; look again.

        Raises:
            TransientError: `commit_conflict` or `store_failed`: it may be there or not.
        """


@dataclass(frozen=True, eq=False)
class _Asked(Intent):
    """An intent whose worker waits for the answer."""

    table: str = ""
    answer: "Future[bool | None]" = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)


class GroupCommitter:
    """`Tables` for the threads of one process; others may commit to the same tables.

    Intents for one table that arrive within a delay go in one Delta commit.
    """

    def __init__(self, place: Place, delay_s: float = GATHERS_S) -> None:
        """Start the committing thread; tables are opened, or made, when they are first used."""
        self._delay_s = delay_s
        self._tables = {name: _Table(place, name) for name in TABLES}
        self._queue: list[_Asked] = []
        self._wake = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Commit what waits, and end."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join()

    def look(self, table: str, apps: Sequence[str], *, reload: bool) -> dict[str, int | None]:
        """See `Tables`."""
        shelf = self._tables[table]
        with shelf.lock:
            held = shelf.read(apps, reload=reload)
        if held is None:
            raise _failed("store_failed", shelf)
        return held

    def commit(
        self,
        table: str,
        expected: Mapping[str, int | None],
        positions: Mapping[str, int],
        rows: Rows,
    ) -> bool:
        """See `Tables`; returns when the commit has its end."""
        asked = _Asked({app: expected[app] for app in positions}, dict(positions), rows, table)
        with self._wake:
            if self._closed:
                message = f"{table}: the committer has ended; start again"
                raise TransientError("commit_conflict", message)
            self._queue.append(asked)
            self._wake.notify()
        known = asked.answer.result()
        if known is None:
            raise _failed("commit_conflict", self._tables[table])
        return known

    def _run(self) -> None:
        while group := self._next_group():
            for name in dict.fromkeys(asked.table for asked in group):
                _answer(self._tables[name], [asked for asked in group if asked.table == name])

    def _next_group(self) -> list[_Asked]:
        """Wait until the oldest intent has waited for its time; nothing once it is closed."""
        with self._wake:
            self._wake.wait_for(lambda: self._queue or self._closed)
            if self._queue:
                due = self._queue[0].since + self._delay_s - time.monotonic()
                self._wake.wait_for(lambda: self._closed, timeout=due)
            group = [
                asked
                for name in self._tables
                for asked in take([asked for asked in self._queue if asked.table == name])
            ]
            self._queue = [asked for asked in self._queue if asked not in group]
            return group


class _Table:
    """The handle of one table. Whoever uses it holds the lock."""

    def __init__(self, place: Place, name: str) -> None:
        self.place, self.name = place, name
        self.lock = threading.Condition()
        self.last: Exception | None = None
        self._handle: DeltaTable | None = None
        self._options: dict[str, str] = {}

    def perform(self, step: Step) -> object:
        """Do what `settle` asks for; no one may look or commit meanwhile, but at `Wait`."""
        match step:
            case Read(apps, reload):
                if reload:
                    self._handle = None
                return self.read(sorted(apps), reload=False)
            case Write(intents):
                return self._write(intents)
            case Wait(attempt):
                return self.lock.wait(random.uniform(0, 0.05 * 2**attempt))

    def read(self, apps: Sequence[str], *, reload: bool) -> dict[str, int | None] | None:
        """Positions, or None if the store does not answer."""
        handle = self._handle
        self._handle = None  # none that an error has left half-way
        try:
            with disk_errors(Path(self.place.uri)):
                options, self._options = self._options, self.place.options()
                if handle is None or options != self._options:  # a handle keeps its keys
                    handle = open_or_create(self.place, self.name)
                elif reload:
                    handle.update_incremental()
                held = versions(self.place, self.name, handle, apps)
        except (DeltaError, OSError, TransientError) as error:
            self.last = error
            return None
        self._handle = handle
        return held

    def _write(self, intents: Sequence[Intent]) -> bool:
        assert self._handle is not None
        with disk_errors(Path(self.place.uri)):
            try:
                files = [file.to_action() for file in self._files(intents)]
                append(self._handle, files, positions_of(intents))
            except (DeltaError, OSError, TransientError) as error:
                raise_if_hopeless(error)
                self.last = error
                return False
        return True

    def _files(self, intents: Sequence[Intent]) -> list[DataFile]:
        """One for the rows of all, beside those that are stored; they count once they are added."""
        files = [intent.rows for intent in intents if isinstance(intent.rows, DataFile)]
        rows = [intent.rows for intent in intents if isinstance(intent.rows, pa.Table)]
        if rows:
            whole, identity = pa.concat_tables(rows), identity_of(positions_of(intents))
            files.append(write_file(self.place.objects, self.name, whole, identity))
        return files


def _answer(table: _Table, group: Sequence[_Asked]) -> None:
    """Settle a group and tell its workers, whatever happens: they wait."""
    try:
        with table.lock:
            answers = _settle(table, group)
    except BaseException as error:  # noqa: BLE001 - each of the workers raises it
        for asked in group:
            asked.answer.set_exception(error)
        return
    for asked, known in zip(group, answers, strict=True):
        asked.answer.set_result(known)


def _settle(table: _Table, group: Sequence[Intent]) -> list[bool | None]:
    steps = settle(group)
    reply: Any = None
    try:
        while True:
            reply = table.perform(steps.send(reply))
    except StopIteration as stop:
        answers: list[bool | None] = stop.value
        return answers


def _failed(code: str, table: _Table) -> TransientError:
    last = "" if table.last is None else reason(table.last)
    message = f"{table.place.table(table.name)}: every attempt failed, the last with: {last}"
    return TransientError(code, message)

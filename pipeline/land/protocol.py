"""Protocol: a run of parts into all tables exactly once, as effects that a worker performs.

The tables of a lake have a log each, and no commit spans two of them. So one commit decides: the
one to the ledger. It carries the partition's position and the number of a record, stored before,
that says all there is to do: rows of each table, markers, media that become whole. From there on
nothing is decided any more. Whoever finds the record rolls it forward, any number of times, from
any worker, and the next batch is decided only behind it.

These are generators: they yield an effect, get its reply, and return the outcome. An effect may
raise at the yield; the same call can then be made again. So a worker with real tables and a
simulator with faults between any two effects run the same code.
"""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar

from schemas.errors import SetupError, TransientError

LEDGER: Final = "failures"
FOLLOWERS: Final = ("segments", "frames", "pages", "lines", "answers", "media")
"""In the order of their commits; `media` last: its row says that everything else has landed."""

STRUCTURE: Final = "structure"
"""The column of all rows that no prompt asks for."""
RECORD: Final = "#record"
"""Behind an application id: the number of the batch that was decided last."""
RECORDS: Final = "landings/"
"""What the names of the records of batches begin with; the application id follows."""
_ATTEMPTS: Final = 8
_BEGIN: Final = 0

Rows = Any
T = TypeVar("T")


@dataclass(frozen=True)
class Look:
    """Read positions of application ids from a table's handle. Reply: positions, by id.

    Args:
        reload: whether to bring the handle up to date first; else it is used as it is.
    """

    table: str
    apps: tuple[str, ...]
    reload: bool


@dataclass(frozen=True)
class Commit:
    """Append rows through **the handle of the last `Look` at this table**, untouched since.

    Reply: whether the commit was acknowledged. False says nothing: it may be stored all the same.
    """

    table: str
    positions: Mapping[str, int]
    rows: Rows


@dataclass(frozen=True)
class Put:
    """Store an object, over the one that is there. No reply."""

    name: str
    value: "Batch | Letter"


@dataclass(frozen=True)
class Advance:
    """Store markers in their object, each unless it says more of its column already. No reply.

    One step: what another worker stores meanwhile is not lost, and nothing ever goes back.
    """

    name: str
    markers: "tuple[Marker, ...]"


@dataclass(frozen=True)
class Get:
    """Read an object. Reply: a batch, or markers by column; None if there is none."""

    name: str


@dataclass(frozen=True)
class Delete:
    """Remove an object; no error if there is none. No reply."""

    name: str


Effect = Look | Commit | Put | Advance | Get | Delete
Steps = Generator[Effect, Any, T]


@dataclass(frozen=True)
class Marker:
    """How far one column of a medium, or of a range of it, has landed.

    Whoever is sent the work again, in whatever way, goes on from there.

    Attributes:
        name: of the object with the markers of all columns, made of media id, sampling and range.
        column: "structure", or one prompt to one model.
        outcome: "partial" while the job goes on, "indexed", or "failed".
        parts: parts that have their rows.
        facts: what the `media` row is made of, or what was asked; JSON values.
        attempt: of the job. A failure ends every job of this attempt or a lower one.
    """

    name: str
    column: str
    outcome: Literal["partial", "indexed", "failed"]
    parts: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    attempt: int = 0

    @property
    def rank(self) -> tuple[bool, int, int, bool]:
        """Grows with what has happened to the column."""
        done, failed = self.outcome == "indexed", self.outcome == "failed"
        return done, self.attempt, self.parts, failed


Markers = Mapping[str, Marker]
"""By column."""


def advanced(held: Markers | None, more: Iterable[Marker]) -> dict[str, Marker]:
    """Markers of one object with those taken in that say more than the ones that are held."""
    after = dict(held or {})
    for marker in more:
        known = after.get(marker.column)
        if known is None or known.rank < marker.rank:
            after[marker.column] = marker
    return after


@dataclass(frozen=True)
class Letter:
    """A dead letter: what an operator needs to send a failed job again.

    Attributes:
        name: of its object, under `dead/`.
        value: JSON values.
    """

    name: str
    value: Mapping[str, Any]


@dataclass(frozen=True)
class Range:
    """A range whose medium may have become whole.

    Attributes:
        app: application id of the medium's row, made of media id and sampling.
        markers: names of the objects with the markers of all its ranges.
    """

    app: str
    markers: tuple[str, ...]


@dataclass(frozen=True)
class Batch:
    """A run of parts of one partition, and all that follows from it.

    Attributes:
        app: `{group}/{topic}/{partition}`.
        before: the position that it continues, None at the beginning.
        last: its last position.
        number: random, 1 to 2^63 - 1; which of two competing batches was decided.
        rows: by table; tables without rows are left out.
        markers: of the columns that its parts belong to.
        ranges: of those that are parts of a medium.
        last_key: media key of the job at `last`, to know the log by.
        letters: of the jobs that fail in it.
    """

    app: str
    before: int | None
    last: int
    number: int
    rows: Mapping[str, Rows]
    markers: tuple[Marker, ...] = ()
    ranges: tuple[Range, ...] = ()
    last_key: str = ""
    letters: tuple[Letter, ...] = ()

    @property
    def record(self) -> str:
        """Name of its record."""
        return record_name(self.app, self.number)


@dataclass(frozen=True)
class Resumed:
    """Where a partition stands: its position, and the key of the job there."""

    position: int
    key: str


class Protocol:
    """The two things that a worker does with a partition's tables."""

    def __init__(self, join: Callable[[Sequence[Marker]], Rows], empty: Rows) -> None:
        """Take what depends on the kind of rows.

        Args:
            join: makes the `media` row of the markers of all ranges, in order.
            empty: no rows.
        """
        self._join, self._empty = join, empty

    def land(self, batch: Batch) -> Steps[bool]:
        """Decide a batch and roll it forward.

        Call again after any error that is not a refusal; Kafka's offset is committed after it.

        Returns:
            False if the partition has gone on without this worker: drop the window, `resume`.

        Raises:
            TransientError: `commit_conflict`, when every attempt at one commit failed.
        """
        yield Put(batch.record, batch)
        before = yield from self._decide(batch)
        if before is None:
            yield Delete(batch.record)
            return False
        yield from self._roll_forward(batch)
        if before not in (_BEGIN, batch.number):
            yield Delete(record_name(batch.app, before))
        return True

    def resume(self, app: str) -> Steps[Resumed | None]:
        """Finish what was decided last, whoever decided it, and return where the partition stands.

        Raises:
            SetupError: `lake_corrupt`, if the record of the last decision is missing.
            TransientError: `commit_conflict`.
        """
        known = yield Look(LEDGER, (app, app + RECORD), reload=True)
        while (number := known[app + RECORD]) is not None:
            batch: Batch | None = yield Get(record_name(app, number))
            if batch is not None:
                yield from self._roll_forward(batch)
                return Resumed(batch.last, batch.last_key)
            # A former owner may have gone on and removed it.
            known = yield Look(LEDGER, (app, app + RECORD), reload=True)
            if known[app + RECORD] == number:
                message = f"{app}: the record {record_name(app, number)} is missing; restore it"
                raise SetupError("lake_corrupt", message)
        return None

    def _decide(self, batch: Batch) -> Steps[int | None]:
        """Commit to the ledger; return the number of the batch before it, or None if refused."""
        app, record = batch.app, batch.app + RECORD
        for attempt in range(_ATTEMPTS):
            seen = yield Look(LEDGER, (app, record), reload=attempt > 0)
            number: int = seen[record] or _BEGIN
            if number == batch.number:
                return number  # stored, its acknowledgement lost
            if seen[app] != batch.before:
                if attempt > 0:
                    return None
                # The handle may be another committer's, and behind what this worker knows.
                continue
            positions = {app: batch.last, record: batch.number}
            if (yield Commit(LEDGER, positions, batch.rows.get(LEDGER, self._empty))):
                return number
        raise _too_many(LEDGER, app)

    def _roll_forward(self, batch: Batch) -> Steps[None]:
        for table in FOLLOWERS:
            if table in batch.rows:
                yield from self.append(table, batch.app, batch.last, batch.rows[table])
        for letter in batch.letters:
            yield Put(letter.name, letter)
        for name in dict.fromkeys(marker.name for marker in batch.markers):
            yield Advance(name, tuple(one for one in batch.markers if one.name == name))
        for part in batch.ranges:
            yield from self._finish(part)

    def _finish(self, part: Range) -> Steps[None]:
        """Land the medium's row if all its ranges have their markers.

        Of workers that end the last ranges at the same time, each puts its marker before it looks
        at the others': at least one sees all, and if several do, the log takes one row.
        """
        markers = []
        for name in part.markers:
            held: Markers | None = yield Get(name)
            marker = (held or {}).get(STRUCTURE)
            if marker is None or marker.outcome != "indexed":
                return
            markers.append(marker)
        yield from self.append("media", part.app, 0, self._join(markers))

    def append(self, table: str, app: str, position: int, rows: Rows) -> Steps[None]:
        """Commit what was decided, unless it is there."""
        for attempt in range(_ATTEMPTS):
            seen = (yield Look(table, (app,), reload=attempt > 0))[app]
            if seen is not None and seen >= position:
                return
            if (yield Commit(table, {app: position}, rows)):
                return
        raise _too_many(table, app)


def record_name(app: str, number: int) -> str:
    """Name of the object with the batch of this number."""
    return f"{RECORDS}{app}/{number:016x}"


def _too_many(table: str, app: str) -> TransientError:
    message = f"{table}: {_ATTEMPTS} commits for {app} failed; is the store reachable?"
    return TransientError("commit_conflict", message)

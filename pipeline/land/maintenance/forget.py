"""Forget: everything of one medium removed, for good, with the proof that nothing is left."""

import json
import re
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from deltalake import DeltaTable

from pipeline.land.lake import open_lake
from pipeline.land.maintenance.compact import sweep_folder
from pipeline.land.maintenance.rewrite import attempt, erase
from pipeline.land.maintenance.traces import (
    COLUMNS,
    LETTERS,
    file_holds,
    file_names,
    known_names,
    mentions,
    prefixes,
    rows_of,
    traces,
    values_of,
    without,
)
from pipeline.land.place import Objects, Place
from pipeline.land.protocol import RECORDS
from pipeline.land.records import batch_at, to_bytes
from pipeline.land.store import CLAIMS, FORGOTTEN, is_forgotten, is_half_written
from pipeline.land.tables import check_version, is_written
from schemas.errors import InputError, TransientError

_MEDIA_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,200}")
_YOUNG_HOURS: Final = 1  # a file that no commit names yet may belong to one under way


@dataclass(frozen=True)
class Forgotten:
    """What was removed; afterwards everything was read again and nothing was found.

    Attributes:
        media_id: of the medium.
        rows: by table.
        files: data files that held its rows and that no version names any more, by table.
        objects: shards, markers, letters, and addresses that were known to be it, removed, and
            records rewritten, by folder.
    """

    media_id: str
    rows: dict[str, int] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    objects: dict[str, int] = field(default_factory=dict)


def forget(place: Place, media_id: str) -> Forgotten:
    """Remove a medium from tables, files and objects, and see to it that it stays away.

    Its id stays as that of something forgotten. Safe beside workers; one that is just landing the
    medium may leave something behind, which is an error here: the same call removes it too.

    Args:
        place: of the lake.
        media_id: of the medium.

    Raises:
        InputError: `unknown_media`, if nothing of it is there.
        TransientError: `not_forgotten`, naming what is left; `store_failed`, `commit_conflict`.
        SetupError: `lake_missing`, `lake_newer`, `lake_older`, `lake_corrupt`; `lake_locked` for a
            folder that a process is indexing into.
    """
    check_version(place)  # before the other, which would make a lake
    check_version(place, write=True)
    with ExitStack() as stack:
        if place.is_folder:  # nobody indexes into it meanwhile
            stack.enter_context(open_lake(Path(place.uri)))
        again = _MEDIA_ID.fullmatch(media_id) is not None and is_forgotten(place.objects, media_id)
        if not again and next(_known(place, media_id), None) is None:
            message = f"{media_id}: the lake has nothing of such a medium; give its media_id"
            raise InputError("unknown_media", message)
        done = _remove(place, media_id)
        left = list(traces(place, media_id))
    if left:
        message = (
            f"{media_id}: {len(left)} traces are left ({'; '.join(left[:3])}), perhaps of a worker "
            "that was landing it; run the same command again, at the latest in an hour"
        )
        raise TransientError("not_forgotten", message)
    return done


def _known(place: Place, media_id: str) -> Iterator[str]:
    return traces(place, media_id) if _MEDIA_ID.fullmatch(media_id) else iter(())


def _remove(place: Place, media_id: str) -> Forgotten:
    known = known_names(place, media_id)
    _keep_away(place.objects, media_id, known)
    done = Forgotten(media_id)
    sweep_folder(place, _YOUNG_HOURS)
    addresses = _addresses(place, media_id)
    done.objects["dead"] = _letters(place.objects, {media_id, *addresses})
    done.objects["landings"] = _records(place.objects, media_id, addresses)
    for table, column in COLUMNS.items():
        if is_written(place, table):
            # Counted before: an attempt whose reply is lost is made again, and finds nothing then.
            done.rows[table] = rows_of(place, table, media_id)
            erase(place, table, column, media_id)
            done.files[table] = _files(place, table, media_id)
    for prefix in prefixes(media_id):
        own = list(place.objects.names(prefix))
        done.objects[prefix.partition("/")[0]] = _delete(place.objects, own)
    done.objects["known"] = _delete(place.objects, known)
    done.objects["claims"] = _delete(place.objects, list(place.objects.names(CLAIMS + media_id)))
    return done


def _keep_away(objects: Objects, media_id: str, known: Collection[str]) -> None:
    """Note that a medium is forgotten, with digests of where it was: a topic may have its jobs."""
    before = json.loads(objects.get(FORGOTTEN + media_id) or b"{}").get("found_at", ())
    found_at = sorted({*before, *(name.split("/")[1] for name in known)})
    note = {"forgotten_at": datetime.now(UTC).isoformat(), "found_at": found_at}
    objects.put(FORGOTTEN + media_id, json.dumps(note).encode())


def _delete(objects: Objects, names: Collection[str]) -> int:
    for name in names:
        objects.delete(name)
    return len(names)


def _addresses(place: Place, media_id: str) -> list[str]:
    """Where the medium came from: what a letter knows of a medium that could not be read."""
    tables = [table for table in ("media", "failures") if is_written(place, table)]
    return [uri for table in tables for uri in values_of(place, table, media_id, "uri") if uri]


def _letters(objects: Objects, words: Collection[str]) -> int:
    removed = 0
    for name in _whole(objects, LETTERS):
        data = objects.get(name)
        if data is not None and mentions(json.loads(data), words):
            objects.delete(name)
            removed += 1
    return removed


def _records(objects: Objects, media_id: str, addresses: Collection[str]) -> int:
    """Rewrite landing records: the last one of a partition must stay."""
    rewritten = 0
    for name in _whole(objects, RECORDS):
        data = objects.get(name)
        batch = None if data is None else batch_at(name, data)
        if batch is not None and (rest := without(batch, media_id, addresses)) != batch:
            objects.put(name, to_bytes(rest))
            rewritten += 1
    return rewritten


def _whole(objects: Objects, prefix: str) -> list[str]:
    return [name for name in objects.names(prefix) if not is_half_written(name)]


def _files(place: Place, table: str, media_id: str) -> int:
    """Remove the medium's rows from the disk: files that no version of the table needs."""
    gone = attempt(place, table, _dispensable)
    removed = 0
    for name in file_names(place, table):
        known = name.removeprefix(f"{table}/") in gone
        if known and file_holds(place, name, COLUMNS[table], media_id):
            place.objects.delete(name)
            removed += 1
    return removed


def _dispensable(handle: DeltaTable) -> set[str]:
    """Files that a commit has removed, and older ones that none has ever named."""
    found: set[str] = set()
    for hours, full in ((0, False), (_YOUNG_HOURS, True)):
        found |= set(
            handle.vacuum(hours, dry_run=True, enforce_retention_duration=False, full=full)
        )
    return found

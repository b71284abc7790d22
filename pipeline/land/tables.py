"""Delta: the tables of a place, opened, made or appended to, and the version of their lake."""

import errno
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from deltalake import (
    CommitProperties,
    DeltaTable,
    PostCommitHookProperties,
    Schema,
    Transaction,
)
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction

from pipeline.land.place import Place
from schemas.errors import ReelpageError, SetupError, TransientError
from schemas.tables import LAKE_VERSION, TABLES

_VERSION: Final = "lake.json"
_CHECKPOINTS: Final = 20  # commits
_HOPELESS: Final = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
_STORE_TROUBLE: Final = "Generic S3 error"
_UNTRUSTED: Final = "invalid peer certificate"
_REFUSED: Final = "lacked the necessary privileges"
_DECORATION: Final = re.compile(r"\x1b\[\d+m|↳")


def check_version(place: Place, *, write: bool = False) -> int:
    """Check that this reelpage can use the lake; one that is to be written is made if missing.

    Lakes of version 1 are read. They are not gone on with: they do not say how far each medium is.

    Returns:
        The lake's version.

    Raises:
        SetupError: `lake_missing`, `lake_newer`, `lake_older` or `lake_corrupt`.
    """
    found = _version(place)
    if found is None and write:
        version = json.dumps({"lake_version": LAKE_VERSION})
        place.objects.put(_VERSION, version.encode() + b"\n")
        return LAKE_VERSION
    if found is None:
        message = f"{place.uri}: there is no lake here; make one with `reelpage index ... --to`"
        raise SetupError("lake_missing", message)
    if found > LAKE_VERSION:
        message = (
            f"{place.uri}: the lake has version {found}, this reelpage writes {LAKE_VERSION}; "
            "upgrade reelpage or choose another --to folder"
        )
        raise SetupError("lake_newer", message)
    if found < LAKE_VERSION and write:
        message = (
            f"{place.uri}: the lake has version {found}, and this reelpage goes on with "
            f"{LAKE_VERSION} alone; read it as before, and index into a new one"
        )
        raise SetupError("lake_older", message)
    return found


def _version(place: Place) -> int | None:
    try:
        data = place.objects.get(_VERSION)
        return None if data is None else int(json.loads(data)["lake_version"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = (
            f"{place.uri}/{_VERSION}: is damaged; it should read {{'lake_version': {LAKE_VERSION}}}"
        )
        raise SetupError("lake_corrupt", message) from error


def is_written(place: Place, table: str) -> bool:
    """Whether a table has a log, be it whole or damaged."""
    names = place.objects.names(f"{table}/_delta_log/")
    return any(name.endswith((".json", ".parquet")) for name in names)  # not one half written


def open_table(place: Place, table: str) -> DeltaTable:
    """Open one table for reading or writing.

    Raises:
        SetupError: `lake_corrupt`, if its log cannot be read, or `store_refused`.
        TransientError: `store_failed`, if the store does not answer.
    """
    address = place.table(table)
    try:
        return DeltaTable(address, storage_options=place.options())
    except (DeltaError, OSError) as error:
        if known := store_error(address, error):
            raise known from error
        if isinstance(error, OSError):
            raise
        message = f"{address}: the table cannot be read ({reason(error)}); restore it or index anew"
        raise SetupError("lake_corrupt", message) from error


def versions(
    place: Place, table: str, handle: DeltaTable, apps: Sequence[str]
) -> dict[str, int | None]:
    """Positions of application ids in an open table; None where nothing has landed.

    This may read what opening the table has left unread.

    Raises:
        SetupError: `store_refused`.
        TransientError: `store_failed`, if the store does not answer.
        DeltaError, OSError: anything else.
    """
    try:
        return {app: handle.transaction_version(app) for app in apps}
    except (DeltaError, OSError) as error:
        if known := store_error(place.table(table), error):
            raise known from error
        raise


def open_or_create(place: Place, table: str) -> DeltaTable:
    """Open one table for writing; it is made, or gets the columns it lacks, where need be.

    Raises:
        SetupError: `lake_corrupt`, if its log cannot be read, or `store_refused`.
        TransientError: `store_failed`, if the store does not answer.
        DeltaError, OSError: it could not be made or changed; another attempt may succeed.
    """
    address, schema = place.table(table), TABLES[table]
    # Not `is_deltatable`: it holds the interpreter while it waits for the store.
    if not is_written(place, table):
        try:
            return DeltaTable.create(
                address,
                schema,
                mode="ignore",  # somebody may have made it in between
                configuration={
                    "delta.checkpointInterval": str(_CHECKPOINTS),
                    # Whoever writes files puts no other values in the log: they would outlive rows
                    # that are forgotten. Nor may readers look for others, which they would miss.
                    "delta.dataSkippingStatsColumns": schema.names[0],
                },
                storage_options=place.options(),
            )
        except (DeltaError, OSError) as error:
            if known := store_error(address, error):
                raise known from error
            raise
    handle = open_table(place, table)
    present = {column.name for column in handle.schema().fields}
    wanted = Schema.from_arrow(schema).fields
    if new := [column for column in wanted if column.name not in present]:
        handle.alter.add_columns(new)  # the lake is of an older reelpage
    return handle


def append(handle: DeltaTable, files: Iterable[AddAction], positions: Mapping[str, int]) -> None:
    """Commit files and positions through a handle; refused if it has not seen a competitor's.

    Args:
        handle: the one that the positions were checked on, untouched since.
        files: that are in the table's folder.
        positions: by application id.

    Raises:
        DeltaError, OSError: says nothing; the commit may be stored all the same.
    """
    transactions = [Transaction(app, position) for app, position in positions.items()]
    # It looks at every entry of the log, so that each commit would take longer than the last.
    # None leaves the choice to the table, which may keep its log.
    swept = None if (handle.version() + 1) % _CHECKPOINTS == 0 else False
    handle.create_write_transaction(
        list(files),
        "append",
        handle.schema(),
        commit_properties=CommitProperties(app_transactions=transactions),
        post_commithook_properties=PostCommitHookProperties(cleanup_expired_logs=swept),
    )
    # This call, other than `write_deltalake`, leaves the handle where it was.
    handle.update_incremental()


def raise_if_hopeless(error: Exception) -> None:
    """Raise what no second attempt cures, with its number: deltalake has it in the text only.

    Raises:
        OSError: the disk is full, read-only or not ours.
    """
    for number in _HOPELESS:
        if getattr(error, "errno", None) == number or f"os error {number})" in str(error):
            raise OSError(number, os.strerror(number)) from error


def reason(error: Exception) -> str:
    """What deltalake says, on one line, not endless."""
    return " ".join(_DECORATION.sub("", str(error)).split())[:400]


def store_error(what: str, error: Exception) -> ReelpageError | None:
    """What an object store did to deltalake, which says it in many lines; None if it did nothing.

    Returns:
        SetupError `store_refused` or TransientError `store_failed`.
    """
    text, line = str(error), reason(error)
    if _UNTRUSTED in text:
        message = f"{what}: {line}; name the store's certificates in SSL_CERT_FILE"
        return SetupError("store_refused", message)
    if _REFUSED in text:
        return SetupError("store_refused", f"{what}: the store refuses ({line}); check the key")
    if _STORE_TROUBLE in text:
        return TransientError("store_failed", f"{what}: the store does not answer ({line})")
    return None

"""Delta: the tables of a place, opened or made, and the version of the lake that they form."""

import json
import re
from typing import Final

from deltalake import DeltaTable, Schema
from deltalake.exceptions import DeltaError

from pipeline.place import Place
from schemas.errors import SetupError, TransientError
from schemas.tables import LAKE_VERSION, TABLES

_VERSION: Final = "lake.json"
_CONFIGURATION: Final = {"delta.checkpointInterval": "20"}
_STORE_TROUBLE: Final = "Generic S3 error"
_REFUSED: Final = "lacked the necessary privileges"
_DECORATION: Final = re.compile(r"\x1b\[\d+m|↳")


def check_version(place: Place, *, create: bool = False) -> None:
    """Check that this reelpage can use the lake.

    Raises:
        SetupError: `lake_missing`, `lake_newer` or `lake_corrupt`.
    """
    damaged = (
        f"{place.uri}/{_VERSION}: is damaged; it should read {{'lake_version': {LAKE_VERSION}}}"
    )
    try:
        data = place.objects.get(_VERSION)
        found = None if data is None else int(json.loads(data)["lake_version"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SetupError("lake_corrupt", damaged) from error
    if found is None:
        if not create:
            message = f"{place.uri}: there is no lake here; make one with `reelpage index ... --to`"
            raise SetupError("lake_missing", message)
        version = json.dumps({"lake_version": LAKE_VERSION})
        place.objects.put(_VERSION, version.encode() + b"\n")
        return
    if found > LAKE_VERSION:
        message = (
            f"{place.uri}: the lake has version {found}, this reelpage writes {LAKE_VERSION}; "
            "upgrade reelpage or choose another --to folder"
        )
        raise SetupError("lake_newer", message)


def is_written(place: Place, table: str) -> bool:
    """Whether a table has a log, be it whole or damaged."""
    return next(place.objects.names(f"{table}/_delta_log/"), None) is not None


def open_table(place: Place, table: str) -> DeltaTable:
    """Open one table for reading or writing.

    Raises:
        SetupError: `lake_corrupt`, if its log cannot be read, or `store_refused`.
        TransientError: `store_failed`, if the store does not answer.
    """
    address = place.table(table)
    try:
        return DeltaTable(address, storage_options=dict(place.options))
    except (DeltaError, OSError) as error:
        reason = " ".join(_DECORATION.sub("", str(error)).split())
        if _REFUSED in reason:
            message = f"{address}: the store refuses ({reason}); check the key's rights"
            raise SetupError("store_refused", message) from error
        if _STORE_TROUBLE in reason:
            message = f"{address}: the store does not answer ({reason}); try again"
            raise TransientError("store_failed", message) from error
        if isinstance(error, OSError):
            raise
        message = f"{address}: the table cannot be read ({reason}); restore it or index anew"
        raise SetupError("lake_corrupt", message) from error


def open_or_create(place: Place, table: str) -> DeltaTable:
    """Open one table for writing; it is made, or gets the columns it lacks, where need be.

    Raises:
        SetupError: `lake_corrupt`, if its log cannot be read, or `store_refused`.
        TransientError: `store_failed`, if the store does not answer.
        DeltaError, OSError: it could not be made or changed; another attempt may succeed.
    """
    address, options, schema = place.table(table), dict(place.options), TABLES[table]
    if not DeltaTable.is_deltatable(address, options):
        if is_written(place, table):
            message = f"{address}: the Delta log is damaged; restore it or index into a new folder"
            raise SetupError("lake_corrupt", message)
        return DeltaTable.create(
            address,
            schema,
            mode="ignore",
            configuration=dict(_CONFIGURATION),
            storage_options=options,
        )
    handle = open_table(place, table)
    known = {column.name for column in handle.schema().fields}
    wanted = Schema.from_arrow(schema).fields
    if new := [column for column in wanted if column.name not in known]:
        handle.alter.add_columns(new)  # the lake is of an older reelpage
    return handle

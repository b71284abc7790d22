"""Answering: what a lander takes, and what it says; whoever brings it.

Many workers send their intents to one lander, so that they share commits. It keeps nothing: two of
them may run, one may die at any time, and a reply that is lost is asked for again.
"""

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import pyarrow as pa

from pipeline.land.commit import Rows, Tables
from pipeline.land.parquet import DataFile
from pipeline.land.records import rows_from_bytes
from schemas.errors import InputError
from schemas.tables import TABLES
from services.calls.replies import from_json, to_json

LOOK: Final = "/v1/look"
COMMIT: Final = "/v1/commit"
AT_ONCE: Final = 64
"""Intents that wait at a time, a thread each."""

_FILE: Final = re.compile(r"part-[0-9a-f]{32}\.parquet")
_COMMIT: Final = frozenset(("table", "expected", "positions", "file", "rows"))
_LAST: Final = 1 << 63


def answer(tables: Tables, path: str, body: bytes) -> bytes:
    """The reply to `POST /v1/look` or `POST /v1/commit`.

    Raises:
        InputError: `bad_request`, for a body that is none.
        SetupError: `version_mismatch`, or what the tables say.
        TransientError: what the tables say.
    """
    try:
        request = from_json(body)
    except ValueError as error:
        what = f"body ({error})"
        raise _bad(what) from error
    return to_json(_ROUTES[path](tables, request))


def _look(tables: Tables, request: Mapping[str, Any]) -> dict[str, Any]:
    table, apps, reload = _fields(request, table=str, apps=list, reload=bool)
    _check(table in TABLES and all(isinstance(app, str) for app in apps), "table or apps")
    return {"positions": tables.look(table, apps, reload=reload)}


def _commit(tables: Tables, request: Mapping[str, Any]) -> dict[str, Any]:
    # What one does not know may be what the request is about.
    _check(request.keys() <= _COMMIT, "fields")
    table, expected, positions = _fields(request, table=str, expected=dict, positions=dict)
    _check(table in TABLES and expected.keys() == positions.keys(), "table or positions")
    _check(all(_is_position(place) for place in positions.values()), "positions")
    _check(all(place is None or _is_position(place) for place in expected.values()), "expected")
    rows: Rows = None
    if request.get("file") is not None:
        rows = _file(request["file"])
    elif request.get("rows") is not None:
        rows = _rows(table, *_fields(request, rows=str))
    return {"committed": tables.commit(table, expected, positions, rows)}


def _file(value: Any) -> DataFile:  # noqa: ANN401 - JSON of anybody
    path, size, rows = _fields(value, path=str, size=int, rows=int)
    _check(_FILE.fullmatch(path) is not None, "path")
    _check(_is_position(size) and _is_position(rows) and min(size, rows) >= 0, "size or rows")
    return DataFile(path, size, rows)


def _rows(table: str, text: str) -> pa.Table:
    try:
        rows = rows_from_bytes(base64.b64decode(text, validate=True))
        rows.validate(full=True)
    except (ValueError, OSError, pa.ArrowException) as error:
        what = f"rows ({error})"
        raise _bad(what) from error
    _check(rows.num_rows > 0 and rows.schema == TABLES[table], "rows")
    return rows


_ROUTES: Final[Mapping[str, Callable[[Tables, Mapping[str, Any]], dict[str, Any]]]] = {
    LOOK: _look,
    COMMIT: _commit,
}


def _is_position(value: object) -> bool:
    return type(value) is int and -_LAST <= value < _LAST


def _fields(value: Any, **types: type) -> list[Any]:  # noqa: ANN401 - JSON of anybody
    """The named fields, each of its type."""
    _check(isinstance(value, dict), "object")
    for name, kind in types.items():
        _check(type(value.get(name)) is kind, name)
    return [value[name] for name in types]


def _check(condition: bool, what: str) -> None:
    if not condition:
        raise _bad(what)


def _bad(what: str) -> InputError:
    message = f"the request's {what} is not what a lander takes; is the client of its version?"
    return InputError("bad_request", message)

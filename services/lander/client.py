"""Lander's client: the tables of a lander at a URL, by JSON over HTTP."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from http import HTTPStatus
from typing import Any, Final, NoReturn, TypeVar

import pyarrow as pa
import urllib3
from urllib3.exceptions import HTTPError

from pipeline.land.commit import Rows
from pipeline.land.group import identity_of
from pipeline.land.parquet import write_file
from pipeline.land.place import Objects
from pipeline.land.records import rows_to_bytes
from schemas.errors import InputError, SetupError, TransientError
from services.calls.replies import credentials, error_of, from_json, to_json
from services.lander.answering import AT_ONCE, COMMIT, LOOK

T = TypeVar("T")
_MOST: Final = 512 << 10
"""Bytes of rows in a request; more of them are stored as a file by who sends it."""


class LanderClient:
    """`Tables` of a lander at a URL; for any number of threads."""

    def __init__(
        self, url: str, objects: Objects, secret: str = "", timeout_s: float = 60.0
    ) -> None:
        """Connect to nothing yet.

        Args:
            url: what `/v1/look` is appended to.
            objects: of the lake, for rows that are too many for a request.
            secret: what the lander asks for.
            timeout_s: for a reply; a commit that takes longer is asked about again.
        """
        self._url, self._objects = url.rstrip("/"), objects
        self._headers = credentials(secret)
        self._pool = urllib3.PoolManager(
            maxsize=AT_ONCE,
            timeout=urllib3.Timeout(connect=min(5.0, timeout_s), read=timeout_s),
            retries=False,
        )

    def look(self, table: str, apps: Sequence[str], *, reload: bool) -> dict[str, int | None]:
        """See `Tables`; raises TransientError `lander_failed` where no lander answers."""
        request = {"table": table, "apps": list(apps), "reload": reload}
        positions: dict[str, int | None] = self._post(LOOK, request, "positions", dict)
        return positions

    def commit(
        self,
        table: str,
        expected: Mapping[str, int | None],
        positions: Mapping[str, int],
        rows: Rows,
    ) -> bool:
        """See `Tables`; raises TransientError `lander_failed` where the reply is lost."""
        request = {
            "table": table,
            "expected": {app: expected[app] for app in positions},
            "positions": dict(positions),
            **self._sent(table, positions, rows),
        }
        return self._post(COMMIT, request, "committed", bool)

    def _sent(self, table: str, positions: Mapping[str, int], rows: Rows) -> dict[str, Any]:
        """Rows as they are in a request, or as the file that they are stored as."""
        if isinstance(rows, pa.Table):
            data = rows_to_bytes(rows)
            if len(data) <= _MOST:
                return {"file": None, "rows": base64.b64encode(data).decode()}
            rows = write_file(self._objects, table, rows, identity_of(positions))
        return {"file": None if rows is None else asdict(rows), "rows": None}

    def _post(self, path: str, request: Mapping[str, Any], wanted: str, kind: type[T]) -> T:
        """The wanted field of the reply.

        Raises:
            SetupError: the lander refuses this request, or whoever calls.
            TransientError: it does not answer, or not as a lander does.
        """
        url = self._url + path
        try:
            reply = self._pool.request("POST", url, body=to_json(request), headers=self._headers)
            if reply.status == HTTPStatus.OK:
                found = from_json(reply.data).get(wanted)
                if isinstance(found, kind):
                    return found
                _no_reply(wanted)
        except (HTTPError, ValueError) as lost:
            message = f"{url}: no reply of a lander ({lost}); is it running?"
            raise TransientError("lander_failed", message) from lost
        error = error_of(reply.status, reply.data, url, "lander_failed")
        if isinstance(error, InputError):  # no medium is to blame for what a worker sends
            raise SetupError(error.code, error.message)
        raise error


def _no_reply(wanted: str) -> NoReturn:
    message = f"the reply has no {wanted!r}"
    raise ValueError(message)

"""Lander's client: the tables of a lander at a URL, by JSON over HTTP."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from http import HTTPStatus
from typing import Any, NoReturn, TypeVar

import urllib3
from urllib3.exceptions import HTTPError

from pipeline.land.parquet import DataFile
from schemas.errors import InputError, SetupError, TransientError
from services.calls.replies import credentials, error_of, from_json, to_json
from services.lander.answering import AT_ONCE, COMMIT, LOOK

T = TypeVar("T")


class LanderClient:
    """`Tables` of a lander at a URL; for any number of threads."""

    def __init__(self, url: str, secret: str = "", timeout_s: float = 60.0) -> None:
        """Connect to nothing yet.

        Args:
            url: what `/v1/look` is appended to.
            secret: what the lander asks for.
            timeout_s: for a reply; a commit that takes longer is asked about again.
        """
        self._url = url.rstrip("/")
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
        file: DataFile | None,
    ) -> bool:
        """See `Tables`; raises TransientError `lander_failed` where the reply is lost."""
        request = {
            "table": table,
            "expected": {app: expected[app] for app in positions},
            "positions": dict(positions),
            "file": None if file is None else asdict(file),
        }
        return self._post(COMMIT, request, "committed", bool)

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

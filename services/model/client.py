"""Graph client: questions about shards to the graph over HTTP, with patience that ends.

A worker imports neither Ray nor torch; one client serves all its threads.
"""

import http.client
import json
import random
import time
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from pipeline.land.rows import Answer
from schemas.errors import CODES, InputError, ReelpageError, SetupError, TransientError
from schemas.jobs import Task
from services.model.wire import ServedModel, answers_from_json, question_to_json

_DEADLINE_S: Final = 900.0
_FAILURES: Final = 5  # replies that say that the graph failed; it has tried again itself
_FIRST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 8.0
_BUSY: Final = 503


class GraphClient:
    """Asks the graph; waits while it is busy or starts again."""

    def __init__(self, url: str, *, deadline_s: float = _DEADLINE_S) -> None:
        """Nothing is sent yet.

        Args:
            url: of the graph, such as "http://127.0.0.1:8000".
            deadline_s: time for one question, all attempts together.

        Raises:
            SetupError: `usage`, for an address that is none.
        """
        self._url, self._deadline_s = url, deadline_s
        self._parts = urlsplit(url.rstrip("/"))
        if self._parts.scheme not in ("http", "https") or not self._parts.hostname:
            message = f"{url!r}: give the graph's address, such as http://127.0.0.1:8000"
            raise SetupError("usage", message)

    def model(self) -> ServedModel:
        """The model that the graph serves.

        Raises:
            TransientError: `graph_busy` or `graph_failed`.
        """
        return ServedModel(**json.loads(self._ask("GET", "/v1/model")))

    def replicas(self) -> dict[str, int]:
        """Replicas that run, by stage.

        Raises:
            TransientError: `graph_busy` or `graph_failed`.
        """
        found: dict[str, int] = json.loads(self._ask("GET", "/v1/replicas"))
        return found

    def answers(self, shard: str, tasks: Sequence[Task]) -> list[list[Answer]]:
        """Answers to all tasks for each picture of a shard that is in the lake.

        Raises:
            TransientError: `graph_busy` or `graph_failed`, when the deadline has passed or the
                model has failed several times.
            InputError: the graph cannot answer this, now or later.
        """
        reply = self._ask("POST", "/v1/shards", question_to_json(shard, tasks))
        return answers_from_json(reply, tasks)

    def _ask(self, method: str, path: str, body: bytes = b"") -> bytes:
        give_up = time.monotonic() + self._deadline_s
        failures, pause_s = 0, _FIRST_PAUSE_S
        while True:
            retry_after_s = 0.0
            try:
                status, headers, reply = self._once(method, path, body, give_up)
                if status == http.HTTPStatus.OK:
                    json.loads(reply)  # where the header was cut, nothing else says so
                    return reply
            except (OSError, ValueError, http.client.HTTPException) as error:
                problem: ReelpageError = self._failed(repr(error))
            else:
                problem = self._problem(status, reply)
                failures += status == http.HTTPStatus.INTERNAL_SERVER_ERROR
                retry_after_s = _seconds(headers.get("Retry-After"))
            if isinstance(problem, InputError) or failures >= _FAILURES:
                raise problem
            wait_s = retry_after_s + random.uniform(0, pause_s)
            if time.monotonic() + wait_s >= give_up:
                raise problem
            time.sleep(wait_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _once(
        self, method: str, path: str, body: bytes, give_up: float
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        secure = self._parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(self._parts.netloc, timeout=max(give_up - time.monotonic(), 0.1))
        try:
            json_body = {"Content-Type": "application/json"} if body else {}
            connection.request(method, self._parts.path + path, body or None, json_body)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def _problem(self, status: int, reply: bytes) -> ReelpageError:
        """What a reply other than answers says."""
        code, message = _said(reply)
        if status == http.HTTPStatus.BAD_REQUEST:
            return InputError(code if code in CODES else "bad_job", message)
        if status == _BUSY:
            return TransientError("graph_busy", f"{self._url}: {message}")
        return self._failed(f"status {status}: {message}")

    def _failed(self, why: str) -> TransientError:
        return TransientError("graph_failed", f"{self._url}: {why}")


def _said(reply: bytes) -> tuple[str, str]:
    """Code and message of an error reply, ours or a proxy's."""
    try:
        value: Any = json.loads(reply)
        return str(value["code"]), str(value["message"])
    except (ValueError, TypeError, KeyError):
        return "", reply[:200].decode(errors="replace")


def _seconds(header: str | None) -> float:
    return float(header) if header and header.isdecimal() else 0.0

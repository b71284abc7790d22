"""Graph client: questions about shards to the graph over HTTP, with patience that ends.

A worker imports neither Ray nor torch; one client serves all its threads.
"""

import http.client
import random
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from pipeline.land.rows import Answer
from pipeline.recognise import ShardText
from schemas.errors import InputError, ReelpageError, SetupError, TransientError
from schemas.jobs import Task
from services.calls.replies import credentials, error_of, from_json
from services.model.wire import (
    SHARDS,
    TEXT,
    ServedModel,
    answers_from_json,
    model_from_json,
    question_to_json,
    text_from_json,
    text_question_to_json,
)

T = TypeVar("T")

_DEADLINE_S: Final = 900.0
_FAILURES: Final = 5  # replies that say that the graph failed; it has tried again itself
_FIRST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 8.0
_OURS: Final = frozenset({"unauthorized", "version_mismatch"})
"""What is set up wrongly between the two; all else is the graph's own trouble."""


class GraphClient:
    """Asks the graph; waits while it is busy or starts again."""

    def __init__(self, url: str, secret: str = "", *, deadline_s: float = _DEADLINE_S) -> None:
        """Nothing is sent yet.

        Args:
            url: of the graph, such as "http://127.0.0.1:8000".
            secret: what the graph asks for.
            deadline_s: time for one question, all attempts together.

        Raises:
            SetupError: `usage`, for an address that is none.
        """
        self._url, self._deadline_s = url, deadline_s
        self._headers = credentials(secret)
        self._parts = urlsplit(url.rstrip("/"))
        if self._parts.scheme not in ("http", "https") or not self._parts.hostname:
            message = f"{url!r}: give the graph's address, such as http://127.0.0.1:8000"
            raise SetupError("usage", message)

    def model(self) -> ServedModel:
        """The model that the graph serves.

        Raises:
            TransientError: `graph_busy` or `graph_failed`.
            SetupError: `unauthorized` or `version_mismatch`.
        """
        return self._ask("GET", "/v1/model", b"", model_from_json)

    def replicas(self) -> dict[str, int]:
        """Replicas that run, by stage.

        Raises:
            TransientError: `graph_busy` or `graph_failed`.
            SetupError: `unauthorized` or `version_mismatch`.
        """
        return self._ask("GET", "/v1/replicas", b"", _counts)

    def answers(self, shard: str, tasks: Sequence[Task], revision: str) -> list[list[Answer]]:
        """Answers to all tasks for each picture of a shard that is in the lake.

        Args:
            shard: name of its object.
            tasks: what to ask.
            revision: of the model that has to answer.

        Raises:
            TransientError: `model_changed`, at once: read the model anew; `graph_busy` or
                `graph_failed`, when the deadline has passed or the model has failed several times.
            InputError: the graph cannot answer this, now or later.
            SetupError: `unauthorized` or `version_mismatch`.
        """
        question = question_to_json(shard, tasks, revision)
        return self._ask("POST", SHARDS, question, lambda reply: answers_from_json(reply, tasks))

    def text(self, shard: str, revision: str) -> ShardText:
        """All text of a shard that is in the lake.

        Args:
            shard: name of its object.
            revision: of the recogniser that has to read it.

        Raises:
            TransientError, InputError, SetupError: as `answers`.
        """
        return self._ask("POST", TEXT, text_question_to_json(shard, revision), text_from_json)

    def _ask(self, method: str, path: str, body: bytes, read: Callable[[bytes], T]) -> T:
        give_up = time.monotonic() + self._deadline_s
        failures, pause_s = 0, _FIRST_PAUSE_S
        while True:
            retry_after_s = 0.0
            try:
                status, headers, reply = self._once(method, path, body, give_up)
                if status == HTTPStatus.OK:
                    return read(reply)
            except (OSError, http.client.HTTPException) as error:
                problem: ReelpageError = self._failed(repr(error))
            except ValueError as error:
                problem = self._failed(f"its reply cannot be read ({error})")
                failures += 1
            else:
                problem = self._problem(status, reply)
                failures += problem.code != "graph_busy"
                retry_after_s = _seconds(headers.get("Retry-After"))
            if _is_final(problem) or failures >= _FAILURES:
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
            headers = self._headers | json_body
            connection.request(method, self._parts.path + path, body or None, headers)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def _problem(self, status: int, reply: bytes) -> ReelpageError:
        """What a reply other than answers says; what is not the graph's own is waited for."""
        failed = status == HTTPStatus.INTERNAL_SERVER_ERROR
        error = error_of(status, reply, self._url, "graph_failed" if failed else "graph_busy")
        if isinstance(error, SetupError) and error.code not in _OURS:
            return self._failed(error.message)
        return error

    def _failed(self, why: str) -> TransientError:
        return TransientError("graph_failed", f"{self._url}: {why}")


def _is_final(problem: ReelpageError) -> bool:
    return isinstance(problem, InputError | SetupError) or problem.code == "model_changed"


def _counts(reply: bytes) -> dict[str, int]:
    found: Any = from_json(reply).get("replicas")
    if not isinstance(found, dict):
        message = "no counts of replicas"
        raise ValueError(message)
    return found


def _seconds(header: str | None) -> float:
    return float(header) if header and header.isdecimal() else 0.0

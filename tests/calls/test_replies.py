"""What services of ours say to each other, and what a client makes of what it hears."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import CODES, InputError, ReelpageError, SetupError, TransientError
from schemas.jobs import ANSWER_TOKENS, TASKS, Task
from services.calls.replies import VERSION, error_of, from_json, status_of, to_json
from services.model.client import GraphClient
from services.model.wire import (
    Question,
    ServedModel,
    answers_from_json,
    model_to_json,
    question_from_json,
    question_to_json,
)
from tests.calls.says import says

TASK = Task("caption", "What is shown?", 8)
GOOD: dict[str, Any] = json.loads(question_to_json("shards/a", [TASK], "r"))
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize("kind", [InputError, SetupError, TransientError])
@pytest.mark.parametrize("code", sorted(CODES))
def test_an_error_arrives_as_the_kind_that_it_was(kind: type[ReelpageError], code: str) -> None:
    if code in ("unauthorized", "model_changed", "not_found", "too_large"):
        kind = {"unauthorized": SetupError, "model_changed": TransientError}.get(code, InputError)
    error = kind(code, "why")
    body = json.dumps({"code": code, "message": "why"}).encode()
    found = error_of(status_of(error), body, "http://graph", "graph_failed")
    assert (type(found), found.code, found.message) == (kind, code, "why")


@given(st.integers(100, 599).filter(lambda status: status != 200), st.binary())
def test_what_is_no_reply_of_ours_is_transient(status: int, body: bytes) -> None:
    error = error_of(status, body, "http://graph", "graph_failed")
    assert isinstance(error, TransientError)
    assert len(error.message.splitlines()) == 1


@given(st.binary() | ANY_JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    for read in (question_from_json, lambda reply: answers_from_json(reply, [TASK])):
        with pytest.raises((ReelpageError, ValueError)):
            read(body)


@given(st.sampled_from(sorted(GOOD)), ANY_JSON)
def test_a_question_is_what_it_has_to_be(field: str, value: object) -> None:
    try:
        question = question_from_json(json.dumps(GOOD | {field: value}).encode())
    except InputError as error:
        assert error.code == "bad_job"  # noqa: PT017 - or there is no error
    except SetupError:
        assert field == "version"
    else:
        assert isinstance(question, Question)
        assert all(isinstance(one, str) for one in (question.shard, question.revision))


@pytest.mark.parametrize(
    "tasks",
    [
        [],
        [Task("a", "b")] * (TASKS + 1),
        [Task("a", "b", 0)],
        [Task("a", "b", ANSWER_TOKENS + 1)],
        [Task("a", "b", True)],
        [Task("a", "b", 1.5)],  # type: ignore[arg-type]
        [Task("a" * 1000, "b")],
        [Task("a", "b" * 100_000)],
        [Task(1, "b")],  # type: ignore[arg-type]
        [Task("a", None)],  # type: ignore[arg-type]
    ],
)
def test_tasks_have_bounds(tasks: list[Task]) -> None:
    with pytest.raises(InputError) as caught:
        question_from_json(question_to_json("shards/a", tasks, "r"))
    assert caught.value.code == "bad_job"


def test_half_a_character_is_no_prompt() -> None:
    body = json.dumps(GOOD | {"tasks": [{"name": "a", "prompt": "\ud800", "max_new_tokens": 1}]})
    with pytest.raises(InputError):
        question_from_json(body.encode())


def test_a_question_comes_as_it_was_sent() -> None:
    asked = question_from_json(question_to_json("shards/a", [TASK], "r"))
    assert asked == Question("shards/a", "r", (TASK,))


def test_another_version_is_refused_by_both_sides() -> None:
    other = to_json({}).replace(b"%d" % VERSION, b"%d" % (VERSION + 1))
    for body in (other, b"{}"):
        with pytest.raises(SetupError, match="one version of reelpage everywhere"):
            from_json(body)


def ask(status: int, body: bytes, deadline_s: float = 1.0) -> ReelpageError | ServedModel:
    with says(status, body) as url:
        try:
            return GraphClient(url, "secret", deadline_s=deadline_s).model()
        except ReelpageError as error:
            return error


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (500, b"Internal Server Error", TransientError, "graph_failed"),
        (503, b"busy", TransientError, "graph_busy"),
        (404, b"Path '/v1/model' not found.", TransientError, "graph_busy"),
        (401, b"<html>", TransientError, "graph_busy"),
        (200, b"<html>", TransientError, "graph_failed"),
        (200, b"[" * 100_000, TransientError, "graph_failed"),
        (200, to_json({"model": {"name": "a"}}), TransientError, "graph_failed"),
        (503, b'{"code": "store_failed", "message": "away"}', TransientError, "store_failed"),
        (422, b'{"code": "store_refused", "message": "key"}', TransientError, "graph_failed"),
        (409, b'{"code": "model_changed", "message": "new"}', TransientError, "model_changed"),
        (401, b'{"code": "unauthorized", "message": "no"}', SetupError, "unauthorized"),
        (422, b'{"code": "version_mismatch", "message": "2"}', SetupError, "version_mismatch"),
        (413, b'{"code": "too_large", "message": "much"}', InputError, "too_large"),
    ],
)
def test_a_passing_fault_of_the_graph_ends_no_worker(
    status: int, body: bytes, kind: type[ReelpageError], code: str
) -> None:
    found = ask(status, body)
    assert isinstance(found, kind)
    assert found.code == code


def test_a_model_comes_as_it_was_sent() -> None:
    model = ServedModel("tiny", "r", 1, 2)
    assert ask(200, model_to_json(model)) == model

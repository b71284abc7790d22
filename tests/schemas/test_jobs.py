"""Jobs: what is one survives its wire format and can be stored; all else is refused."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.errors import InputError
from schemas.jobs import (
    ANSWER_TOKENS,
    NAME,
    PARTS,
    PROMPT,
    TASKS,
    Job,
    MediaReference,
    PartRange,
    StreamChunk,
    Task,
)

LARGEST = 1 << 53
BASE: dict[str, Any] = {"version": 1, "id": "a", "media": {"uri": "u"}}

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
names = texts.filter(bool)
counts = st.integers(0, LARGEST)
tasks = st.builds(Task, names, texts, st.integers(1, ANSWER_TOKENS))
inner = st.lists(st.integers(1, PARTS - 1), min_size=0, max_size=3, unique=True).map(sorted)
cuts = inner.map(lambda some: [0, *some, PARTS])
spans = cuts.map(lambda some: tuple(map(PartRange, some, some[1:])))


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    """Of a whole medium, of a range, of one of several, or of pages."""
    ranges = draw(st.just(()) | spans)
    pages = draw(st.lists(st.integers(1, 2**31 - 1), max_size=3, unique=True)) if not ranges else []
    return Job(
        draw(names),
        draw(st.builds(MediaReference, names, counts, st.none() | counts, st.none() | texts)),
        tuple(draw(st.lists(tasks, max_size=3, unique=True))),
        range=draw(st.sampled_from(ranges)) if ranges else None,
        deadline_us=draw(st.none() | st.integers(-LARGEST, LARGEST)),
        trace=draw(st.none() | texts),
        sample=draw(texts),
        payload=draw(st.none() | texts),
        ranges=draw(st.sampled_from([(), ranges])),
        chunk=draw(st.none() | st.builds(StreamChunk, names, counts, st.integers(0, LARGEST - 1))),
        attempt=draw(st.integers(0, 9)),
        pages=tuple(pages),
    )


any_texts = st.text(st.characters(), max_size=8)  # half pairs and NUL too
numbers = st.integers() | st.floats() | st.sampled_from([10**400, -LARGEST - 1, LARGEST + 1])
values = st.recursive(
    st.none() | st.booleans() | numbers | any_texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_texts, inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from([*asdict(Job("a", MediaReference("u"))), "version", "uri", "start"])


@given(jobs())
def test_jobs(job: Job) -> None:
    text = job.to_json()
    assert "\n" not in text
    assert read(text) == job
    assert read(text.encode()) == job


def test_a_task_that_stands_in_it_twice_is_asked_once() -> None:
    one, other = Task("a", "b"), Task("a", "c")
    job = Job("a", MediaReference("u"), (one, other, one))
    assert Job.from_json(job.to_json()).tasks == (one, other)


def read(text: str | bytes) -> Job | None:
    """A job that can be stored and read again, or None for what is refused in one line."""
    error = refusal(text)
    if error is not None:
        assert error.code == "bad_job"
        assert is_storable(error.message)
        assert "\n" not in error.message
        assert len(error.message) <= 1000
        return None
    job = Job.from_json(text)
    for value in leaves(asdict(job)):
        assert type(value) in (str, int, type(None))
        assert is_storable(value) if isinstance(value, str) else abs(value or 0) <= LARGEST
    assert Job.from_json(job.to_json()) == job
    return job


def refusal(text: str | bytes) -> InputError | None:
    try:
        Job.from_json(text)
    except InputError as error:
        return error
    return None


def is_storable(text: str) -> bool:
    return "\0" not in text and text.encode(errors="replace").decode() == text


def leaves(value: object) -> Iterator[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)
    else:
        yield value


@given(values)
def test_any_json_value(value: object) -> None:
    assert read(json.dumps(value)) is None, "no such value has the fields of a job"


@given(st.binary() | texts.map(str.encode))
@example(b'\xff{"version": 1}')
@example(json.dumps({**BASE, "id": "\ud800"}, ensure_ascii=False).encode(errors="surrogatepass"))
@example(json.dumps(BASE).encode("utf-8-sig") + b"\xff")
def test_any_bytes(data: bytes) -> None:
    assert read(data) is None


@given(fields, values)
def test_any_value_of_one_more_field(name: str, value: object) -> None:
    read(json.dumps({**BASE, name: value}))
    read(json.dumps({**BASE, "media": {"uri": "u", name: value}}))


@given(jobs(), values, st.data())
def test_jobs_of_which_one_value_is_another(job: Job, value: object, data: st.DataObject) -> None:
    mutated = json.loads(job.to_json())
    *way, last = data.draw(st.sampled_from(list(ways(mutated))))
    place = mutated
    for step in way:
        place = place[step]
    if data.draw(st.booleans()):
        place[last] = value
    else:
        del place[last]
    read(json.dumps(mutated))


def ways(value: Any) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401 - any JSON value
    """The ways to all values that are in another."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield (key,)
            yield from ((key, *rest) for rest in ways(value[key]))


@pytest.mark.parametrize("depth", [10, 900, 2_000, 200_000])
@pytest.mark.parametrize("pair", ["[]", ('{"a":', "}")])
def test_what_is_nested_deeply(depth: int, pair: tuple[str, str]) -> None:
    start, end = pair[0] * depth, pair[1] * depth
    assert read(start) is None
    assert read(f"{start}1{end}") is None
    for name in asdict(Job("a", MediaReference("u"))):
        assert read(f'{{"version": 1, "{name}": {start}1{end}}}') is None
    assert read(f'{{"version": {start}1{end}}}') is None


def test_no_depth_is_a_fault() -> None:
    """Where reading still works, what says why it is refused might not."""
    for depth in range(500, 1100):
        assert read('{"version": ' + "[" * depth + "]" * depth + "}") is None
        assert read('{"id": ' + "[" * depth + "]" * depth + "}") is None


@pytest.mark.parametrize(
    "number",
    ["NaN", "Infinity", "-Infinity", "1e999", "1.0", "1e0", "true", "9" * 5000, f"{LARGEST + 1}"],
)
@pytest.mark.parametrize("name", ["attempt", "deadline_us", "version"])
def test_numbers_that_are_none_of_ours(name: str, number: str) -> None:
    rest = json.dumps({key: value for key, value in BASE.items() if key != name})
    assert read(f'{rest[:-1]}, "{name}": {number}}}') is None


@pytest.mark.parametrize(
    ("change", "is_job"),
    [
        pytest.param({"sample": 5}, False, id="sample int"),
        pytest.param({"id": 5}, False, id="id int"),
        pytest.param({"media": {"uri": "http://["}}, True, id="uri http://["),
        pytest.param({"media": {"uri": "http://example..com/a.mp4"}}, True, id="double dot host"),
        pytest.param({"media": {"uri": "http://example.com:99999/a.mp4"}}, True, id="port 99999"),
        pytest.param({"media": {"uri": "/a\0b"}}, False, id="nul in path"),
        pytest.param({"media": {"uri": "/a\ud800"}}, False, id="surrogate uri"),
        pytest.param({"range": {"start": "a", "stop": "b"}}, False, id="range str"),
        pytest.param({"media": {"uri": "/nowhere"}}, True, id="control: missing"),
    ],
)
def test_records_that_once_stopped_a_partition(change: dict[str, object], is_job: bool) -> None:
    """What is wrong with an address shows when it is fetched."""
    text = json.dumps({**BASE, **change})
    for record in (text, text.encode()):
        assert (read(record) is not None) == is_job
    raw = json.dumps({**BASE, **change}, ensure_ascii=False).encode(errors="surrogatepass")
    assert (read(raw) is not None) == is_job


@pytest.mark.parametrize("text", ["no json", "[" * 20_000], ids=["control: no json", "deep json"])
def test_records_that_are_no_json(text: str) -> None:
    assert read(text) is None
    assert read(text.encode()) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "3",
        "{",
        b"\xff\xfe",
        "{}",
        '{"version": 2, "id": "a", "media": {"uri": "u"}}',
        '{"version": "1", "id": "a", "media": {"uri": "u"}}',
        '{"id": "a", "media": {"uri": "u"}}',
        '{"version": 1, "id": "a"}',
        '{"version": 1, "media": {"uri": "u"}}',
        '{"version": 1, "id": "a", "media": null}',
        '{"version": 1, "id": "a", "media": {}}',
    ],
)
def test_what_is_no_job(text: str | bytes) -> None:
    assert read(text) is None


def task(**more: object) -> dict[str, object]:
    return {"name": "n", "prompt": "p", **more}


ONE, TWO = {"start": 0, "stop": 30}, {"start": 30, "stop": 60}


@pytest.mark.parametrize(
    "change",
    [
        {"colour": 1},
        {"media": {"uri": "u", "colour": 1}},
        {"id": ""},
        {"id": "a" * 70_000},
        {"media": {"uri": ""}},
        {"media": {"uri": "u" * 70_000}},
        {"media": {"uri": "u", "offset": -1}},
        {"media": {"uri": "u", "length": -1}},
        {"media": {"uri": "u", "etag": 5}},
        {"media": ["u"]},
        {"tasks": 3},
        {"tasks": {"name": "x", "prompt": "y"}},
        {"tasks": [{"name": "x"}]},
        {"tasks": [task(name="")]},
        {"tasks": [task(name="n" * (NAME + 1))]},
        {"tasks": [task(prompt="p" * (PROMPT + 1))]},
        {"tasks": [task(max_new_tokens=0)]},
        {"tasks": [task(max_new_tokens=ANSWER_TOKENS + 1)]},
        {"tasks": [task(name=f"{number}") for number in range(TASKS + 1)]},
        {"range": {"start": 0}},
        {"range": {"start": 1, "stop": 1}},
        {"range": {"start": -1, "stop": 1}},
        {"range": {"start": 0, "stop": PARTS + 1}},
        {"range": ONE, "ranges": [TWO]},
        {"range": ONE, "ranges": [ONE, {"start": 31, "stop": 60}]},
        {"range": ONE, "ranges": [TWO, ONE]},
        {"ranges": [ONE, TWO]},
        {"range": ONE, "ranges": [ONE, TWO]},
        {"range": TWO, "ranges": [TWO, {"start": 60, "stop": PARTS}]},
        {"range": ONE, "pages": [1]},
        {"pages": [0]},
        {"pages": [1, 1]},
        {"pages": [2**31]},
        {"pages": [True]},
        {"attempt": -1},
        {"attempt": 1_000_001},
        {"chunk": {"stream": "s", "sequence": 0, "start_us": -1}},
        {"chunk": {"stream": "s", "sequence": 0, "start_us": LARGEST}},
        {"chunk": {"stream": "s", "sequence": -1, "start_us": 0}},
        {"chunk": {"stream": "", "sequence": 0, "start_us": 0}},
        {"chunk": {"stream": "s" * 70_000, "sequence": 0, "start_us": 0}},
        {"trace": "t" * 70_000},
        {"payload": "\0"},
        {"payload": ["a"]},
    ],
)
def test_what_breaks_a_rule_is_no_job(change: dict[str, object]) -> None:
    assert read(json.dumps(BASE)) is not None
    assert read(json.dumps({**BASE, **change})) is None


def test_what_is_just_within_the_rules_is_a_job() -> None:
    change = {
        "id": "a" * 65_536,
        "media": {"uri": "u", "offset": LARGEST, "length": 0, "etag": ""},
        "tasks": [task(name=f"{number}", prompt="p" * PROMPT) for number in range(TASKS)],
        "range": ONE,
        "ranges": [ONE, {"start": 30, "stop": PARTS}],
        "chunk": {"stream": "s", "sequence": 0, "start_us": LARGEST - 1},
        "deadline_us": -LARGEST,
        "attempt": 1_000_000,
    }
    assert read(json.dumps({**BASE, **change})) is not None
    assert read(json.dumps({**BASE, "pages": [2**31 - 1, 1]})) is not None


@given(tasks)
def test_a_prompt_has_one_identity(task: Task) -> None:
    assert task.prompt_id == Task(task.name, task.prompt, task.max_new_tokens).prompt_id
    other = Task(task.name, task.prompt, task.max_new_tokens + 1)
    assert task.prompt_id != other.prompt_id

"""Jobs and shards survive their own wire formats; what is no job is refused with its code."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import InputError
from schemas.jobs import Job, MediaReference, StreamChunk, Task, PartRange
from schemas.shards import FRAMES, PAGES, MediaInfo, Shard, info_from_json, info_to_json

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
longs = st.integers(-(2**63), 2**63 - 1)
references = st.builds(MediaReference, texts, longs, st.none() | longs, etag=st.none() | texts)
jobs = st.builds(
    Job,
    id=texts,
    media=references,
    tasks=st.lists(st.builds(Task, texts, texts, st.integers(1, 4096)), max_size=3).map(tuple),
    range=st.none() | st.builds(PartRange, longs, longs),
    deadline_us=st.none() | longs,
    trace=st.none() | texts,
    payload=st.none() | texts,
    chunk=st.none() | st.builds(StreamChunk, texts, longs, st.integers(0, 2**53 - 1)),
    attempt=st.integers(0, 9),
)


def test_a_range_of_several_comes_back() -> None:
    ranges = (PartRange(0, 30), PartRange(30, 60))
    job = Job("a", MediaReference("u"), range=ranges[1], ranges=ranges)
    assert Job.from_json(job.to_json()) == job


@given(jobs)
def test_jobs(job: Job) -> None:
    text = job.to_json()
    assert "\n" not in text
    assert Job.from_json(text) == job
    assert Job.from_json(text.encode()) == job


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
        '{"version": 1, "id": "a"}',
        '{"version": 1, "media": {"uri": "u"}}',
        '{"version": 1, "id": "a", "media": null}',
        '{"version": 1, "id": "a", "media": {}}',
        '{"version": 1, "id": "a", "media": {"uri": "u"}, "colour": 1}',
        '{"version": 1, "id": "a", "media": {"uri": "u"}, "tasks": [{"name": "x"}]}',
        '{"version": 1, "id": "a", "media": {"uri": "u"}, "range": {"start": 0}}',
        '{"version": 1, "id": "a", "media": {"uri": "u"}, "tasks": 3}',
        '{"version": 1, "id": "a", "media": {"uri": "u"}, "range": {"start": 0, "stop": 1},'
        ' "ranges": [{"start": 1, "stop": 2}]}',
        '{"version": 1, "id": "a", "media": {"uri": "u"},'
        ' "chunk": {"stream": "s", "sequence": 0, "start_us": -1}}',
    ],
)
def test_what_is_no_job(text: str | bytes) -> None:
    with pytest.raises(InputError) as caught:
        Job.from_json(text)
    assert caught.value.code == "bad_job"


@given(st.builds(Task, texts, texts, st.integers(1, 4096)))
def test_a_prompt_has_one_identity(task: Task) -> None:
    assert task.prompt_id == Task(task.name, task.prompt, task.max_new_tokens).prompt_id
    other = Task(task.name, task.prompt, task.max_new_tokens + 1)
    assert task.prompt_id != other.prompt_id


def _rows(schema: pa.Schema) -> st.SearchStrategy[pa.RecordBatch]:
    kinds = {
        pa.int64(): longs,
        pa.int32(): st.integers(-(2**31), 2**31 - 1),
        pa.bool_(): st.booleans(),
        pa.binary(): st.binary(max_size=30),
        pa.float64(): st.none() | st.floats(allow_nan=False),
        pa.string(): texts,
    }
    row = st.fixed_dictionaries({field.name: kinds[field.type] for field in schema})
    made = st.lists(row, max_size=4)
    return made.map(lambda rows: pa.RecordBatch.from_pylist(rows, schema=schema))


@given(
    st.builds(
        Shard,
        part=st.integers(0, 1000),
        start=longs,
        end=longs,
        rows=_rows(FRAMES) | _rows(PAGES),
        subtitles=texts,
    )
)
def test_shards(shard: Shard) -> None:
    data = shard.to_ipc()
    back = Shard.from_ipc(data)
    assert back == shard
    assert back.rows.schema.equals(shard.rows.schema, check_metadata=True)
    assert back.to_ipc() == data


def test_what_is_no_shard() -> None:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, PAGES):
        pass
    for data in (b"", b"nonsense", bytes(sink.getvalue())):
        with pytest.raises(ValueError, match=r".+"):
            Shard.from_ipc(data)


infos = st.builds(
    MediaInfo,
    kind=st.sampled_from(["video", "document", "image"]),
    container=texts,
    codec=texts,
    width=st.integers(0, 9999),
    height=st.integers(0, 9999),
    duration_us=st.none() | longs,
)


@given(infos)
def test_facts(info: MediaInfo) -> None:
    assert info_from_json(info_to_json(info)) == info

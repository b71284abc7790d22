"""Shards and the facts of media survive their own wire formats."""

import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.cues import CuePicture, read_cues, write_cues
from schemas.shards import (
    FRAMES,
    PAGES,
    SHARD_VERSION,
    MediaInfo,
    Shard,
    info_from_json,
    info_to_json,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
longs = st.integers(-(2**63), 2**63 - 1)


def _rows(schema: pa.Schema) -> st.SearchStrategy[pa.RecordBatch]:
    kinds = {
        pa.int64(): longs,
        pa.int32(): st.integers(-(2**31), 2**31 - 1),
        pa.bool_(): st.booleans(),
        pa.binary(): st.binary(max_size=30),
        pa.float64(): st.none() | st.floats(allow_nan=False),
        pa.string(): texts,
    }
    place = st.floats(0, 1, width=32)
    line = st.fixed_dictionaries({"text": texts, **dict.fromkeys(("x0", "y0", "x1", "y1"), place)})
    kinds |= {field.type: st.lists(line, max_size=3) for field in schema if field.name == "lines"}
    row = st.fixed_dictionaries({field.name: kinds[field.type] for field in schema})
    made = st.lists(row, max_size=4)
    return made.map(lambda rows: pa.RecordBatch.from_pylist(rows, schema=schema))


shares = st.floats(0, 1)
pictures = st.builds(
    CuePicture,
    start_us=longs,
    end_us=longs,
    box=st.tuples(shares, shares, shares, shares),
    language=st.none() | texts,
    image=st.binary(max_size=30),
)


@given(
    st.builds(
        Shard,
        part=st.integers(0, 1000),
        start=longs,
        end=longs,
        rows=_rows(FRAMES) | _rows(PAGES),
        subtitles=texts,
        cues=st.lists(st.tuples(longs, longs, texts), max_size=3).map(tuple),
        cue_pictures=st.none() | st.lists(pictures, max_size=3).map(tuple),
    )
)
def test_shards(shard: Shard) -> None:
    data = shard.to_ipc()
    back = Shard.from_ipc(data)
    assert back == shard
    assert back.rows.schema.equals(shard.rows.schema, check_metadata=True)
    assert back.to_ipc() == data


def test_what_a_newer_writer_says_of_a_shard_is_left_out() -> None:
    rows = pa.RecordBatch.from_pylist([], schema=PAGES)
    facts = {"version": SHARD_VERSION, "part": 3, "start": 1, "end": 9, "mood": "calm"}
    schema = PAGES.with_metadata({b"reelpage.shard": json.dumps(facts).encode()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema):
        pass
    assert Shard.from_ipc(bytes(sink.getvalue())) == Shard(3, 1, 9, rows)


def test_what_a_newer_writer_says_of_a_cue_is_left_out() -> None:
    cue = CuePicture(1, 2, (0.0, 0.0, 1.0, 1.0), None, b"png")
    sink = pa.BufferOutputStream()
    write_cues(sink, [cue])
    with pa.ipc.open_stream(sink.getvalue()) as reader:
        table = reader.read_all()
    table = table.append_column("mood", pa.array(["calm"]))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    assert read_cues(pa.BufferReader(sink.getvalue())) == (cue,)


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
